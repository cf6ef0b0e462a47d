//! What a webhook is set to send, as it is kept and as it is used.

use super::headers::MASK;
use crate::ids::WebhookId;
use crate::secrets::{Vault, VaultError};
use crate::store::{DeliverySettings, SealedHeaders, TemplatePer};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// What is to be sent: a template, its content type and headers. Headers are in the clear.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The template's source; the payload itself is sent where there is none.
    pub template: Option<String>,
    /// What one rendering is about.
    pub per: TemplatePer,
    /// The content type of what it makes.
    pub content_type: Option<String>,
    /// Headers by their names in lower case. A value may be a template too.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Plan").field("template", &self.template).field("headers", &names).finish_non_exhaustive()
    }
}

impl Plan {
    /// The row that a webhook's settings belong to.
    pub fn owner(webhook: WebhookId) -> String {
        format!("webhook/{webhook}")
    }

    /// What settings say. `owner` names the row they belong to, such as `webhook/<id>`.
    pub fn open(settings: &DeliverySettings, owner: &str, vault: &Vault) -> Result<Self, VaultError> {
        let headers = match &settings.headers {
            None => BTreeMap::new(),
            Some(sealed) => {
                let plain = vault.open(&aad(owner), &sealed.values)?;
                serde_json::from_slice(&plain).map_err(|_| VaultError::CannotOpen)?
            }
        };
        Ok(Plan {
            template: settings.template.clone(),
            per: settings.template_per.unwrap_or_default(),
            content_type: settings.content_type.clone(),
            headers,
        })
    }

    /// Keeps headers in settings, sealed for the row they belong to. What is the same already stays as it is sealed.
    pub fn keep_headers(
        settings: &mut DeliverySettings,
        headers: &BTreeMap<String, String>,
        owner: &str,
        vault: &Vault,
    ) -> Result<(), VaultError> {
        if headers.is_empty() {
            settings.headers = None;
            return Ok(());
        }
        if settings.headers.is_some() && Plan::open(settings, owner, vault)?.headers == *headers {
            return Ok(());
        }
        let plain = Zeroizing::new(serde_json::to_vec(headers).map_err(|_| VaultError::CannotOpen)?);
        let names = headers.keys().cloned().collect();
        settings.headers = Some(SealedHeaders { names, values: vault.seal(&aad(owner), &plain)? });
        Ok(())
    }

    /// Headers as they are answered: their names, with a mask for each value.
    pub fn masked(settings: &DeliverySettings) -> BTreeMap<&str, &'static str> {
        let names = settings.headers.iter().flat_map(|sealed| &sealed.names);
        names.map(|name| (name.as_str(), MASK)).collect()
    }
}

/// Headers are sealed apart from what else belongs to the row.
fn aad(owner: &str) -> String {
    format!("{owner}/headers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn headers_are_kept_sealed_and_told_masked() {
        let vault = Vault::new(&[7; 32], Random::seeded(1));
        let mut settings = DeliverySettings::default();
        let headers = BTreeMap::from([("authorization".to_owned(), "Bearer very-secret".to_owned())]);
        Plan::keep_headers(&mut settings, &headers, "webhook/1", &vault).unwrap();
        let stored = serde_json::to_string(&settings).unwrap();
        assert!(stored.contains("authorization") && !stored.contains("very-secret"), "{stored}");
        assert!(!format!("{settings:?}").contains("very-secret"));
        let plan = Plan::open(&settings, "webhook/1", &vault).unwrap();
        assert_eq!(plan.headers, headers);
        assert!(!format!("{plan:?}").contains("very-secret"));
        assert_eq!(Plan::open(&settings, "webhook/2", &vault), Err(VaultError::CannotOpen));
        assert_eq!(Plan::masked(&settings), BTreeMap::from([("authorization", "***")]));

        // Sealing the same again would make another row of what did not change.
        let before = settings.clone();
        Plan::keep_headers(&mut settings, &headers, "webhook/1", &vault).unwrap();
        assert_eq!(settings, before);
        Plan::keep_headers(&mut settings, &BTreeMap::new(), "webhook/1", &vault).unwrap();
        assert_eq!(settings, DeliverySettings::default());
    }
}
