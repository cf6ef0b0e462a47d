//! Unified objects of the category `task`.

use super::kinds::{Bool, Date, Num, Text, Texts};
use super::unified_object;

unified_object! {
    /// Something to be done.
    TaskTask {
        assigned_user_ids: Texts<'a>,
        attachment_ids: Texts<'a>,
        completed_at: Date,
        creator_user_id: Text<'a>,
        due_at: Date,
        end_at: Date,
        follower_user_ids: Texts<'a>,
        group_ids: Texts<'a>,
        has_children: Bool,
        name: Text<'a>,
        notes: Text<'a>,
        parent_id: Text<'a>,
        priority: Text<'a>,
        progress: Num,
        project_id: Text<'a>,
        start_at: Date,
        status: Text<'a>,
        story_points: Num,
        tags: Texts<'a>,
        time_spent: Num,
        time_spent_unit: Text<'a>,
        #[serde(rename = "type")]
        kind: Text<'a>,
        url: Text<'a>,
    }
}

unified_object! {
    /// A set of tasks.
    TaskProject {
        description: Text<'a>,
        group_ids: Texts<'a>,
        has_children: Bool,
        has_tasks: Bool,
        name: Text<'a>,
        parent_id: Text<'a>,
        user_ids: Texts<'a>,
    }
}

unified_object! {
    /// A remark on a task.
    TaskComment {
        task_id: Text<'a>,
        text: Text<'a>,
        user_id: Text<'a>,
    }
}
