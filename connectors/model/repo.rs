//! Unified objects of the category `repo`.

use super::kinds::{Bool, Date, Text, Texts};
use super::unified_object;

unified_object! {
    /// A repository of code.
    RepoRepository {
        description: Text<'a>,
        is_private: Bool,
        name: Text<'a>,
        org_id: Text<'a>,
        owner: Text<'a>,
        web_url: Text<'a>,
    }
}

unified_object! {
    /// A proposed change.
    RepoPullrequest {
        closed_at: Date,
        commit_ids: Texts<'a>,
        labels: Texts<'a>,
        notes: Text<'a>,
        repo_id: Text<'a>,
        source_branch_id: Text<'a>,
        status: Text<'a>,
        target_branch_id: Text<'a>,
        title: Text<'a>,
        user_ids: Texts<'a>,
    }
}

unified_object! {
    /// A change of code.
    RepoCommit {
        branch_id: Text<'a>,
        message: Text<'a>,
        repo_id: Text<'a>,
        user_id: Text<'a>,
    }
}
