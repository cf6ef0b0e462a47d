//! What a connection may be set to besides `auth`.

use crate::api::error::ApiError;
use crate::api::wire::{Fields, shorten};
use crate::api_model::integration;
use anyhook_connectors::contract::Manifest;

/// Categories that the API knows, whether an integration has them or not.
const CATEGORIES: [&str; 35] = [
    "accounting",
    "ads",
    "analytics",
    "assessment",
    "ats",
    "auth",
    "calendar",
    "cdp",
    "clubs",
    "commerce",
    "crm",
    "datastore",
    "enrich",
    "forms",
    "genai",
    "hris",
    "kms",
    "lms",
    "martech",
    "messaging",
    "metadata",
    "passthrough",
    "payment",
    "performance",
    "repo",
    "saml",
    "scim",
    "shipping",
    "signing",
    "social",
    "storage",
    "task",
    "ticketing",
    "uc",
    "verification",
];

/// `categories`.
pub(super) fn categories(fields: &Fields<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(names) = fields.few_texts("categories")? else { return Ok(None) };
    match names.iter().find(|name| !CATEGORIES.contains(&name.as_str())) {
        Some(unknown) => {
            let expected = format!("`{}` is not known; use some of {}", shorten(unknown), CATEGORIES.join(", "));
            Err(fields.error("categories", expected))
        }
        None => Ok(Some(names).filter(|names| !names.is_empty())),
    }
}

/// `permissions`: `webhook`, or an object type with what may be done.
pub(super) fn permissions(fields: &Fields<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(names) = fields.texts("permissions")? else { return Ok(None) };
    match names.iter().find(|name| !is_permission(name)) {
        Some(unknown) => {
            let expected =
                "use `webhook`, or an object type with `_read` or `_write` behind it, as in `crm_contact_read`";
            Err(fields.error("permissions", format_args!("`{}` is not known; {expected}", shorten(unknown))))
        }
        None => Ok(Some(names).filter(|names| !names.is_empty())),
    }
}

fn is_permission(name: &str) -> bool {
    let mut parts = name.split('_');
    let is_word = |part: Option<&str>| {
        part.is_some_and(|part| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
    };
    match name {
        "webhook" | "auth_login" => true,
        _ => {
            parts.next().is_some_and(|category| CATEGORIES.contains(&category))
                && is_word(parts.next())
                && parts.next().is_some_and(|right| matches!(right, "read" | "write"))
                && parts.next().is_none()
        }
    }
}

/// What a connection is made for where nothing is said: everything the integration has.
pub(super) fn all_categories(manifest: &Manifest) -> Vec<String> {
    integration::categories(manifest).into_iter().map(str::to_owned).collect()
}

/// Everything may be read and listened to.
pub(super) fn all_permissions(manifest: &Manifest) -> Vec<String> {
    let read = manifest.objects.iter().map(|spec| format!("{}_read", spec.object_type));
    read.chain(["webhook".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_have_a_shape() {
        for known in ["webhook", "auth_login", "crm_contact_read", "storage_file_write"] {
            assert!(is_permission(known), "{known}");
        }
        for unknown in ["", "crm", "crm_contact", "crm_contact_delete", "nothing_contact_read", "crm_contact_read_x"] {
            assert!(!is_permission(unknown), "{unknown}");
        }
    }
}
