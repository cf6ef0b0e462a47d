//! Unified objects of the category `kms`.

use super::Metadata;
use super::kinds::{Bool, Text};
use super::unified_object;

unified_object! {
    /// A page or post.
    KmsPage {
        download_url: Text<'a>,
        is_active: Bool,
        metadata: Vec<Metadata<'a>>,
        parent_id: Text<'a>,
        space_id: Text<'a>,
        title: Text<'a>,
        #[serde(rename = "type")]
        kind: Text<'a>,
        user_id: Text<'a>,
        web_url: Text<'a>,
    }
}

unified_object! {
    /// A remark on a page.
    KmsComment {
        content: Text<'a>,
        page_id: Text<'a>,
        parent_id: Text<'a>,
        user_id: Text<'a>,
    }
}
