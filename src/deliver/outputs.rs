//! Templates and headers of webhooks, compiled once per revision and not once per pump.

use super::subscriber::Undeliverable;
use crate::context::Context;
use crate::ids::WebhookId;
use crate::store::{DeliverySettings, Webhook};
use crate::template::{Output, Plan, Reading, Seen};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Compiled ones that are kept.
const ENTRIES_MAX: usize = 1_000;

/// Keeps them.
#[derive(Debug, Default)]
pub(super) struct Outputs(Mutex<HashMap<WebhookId, (u64, Arc<Output>)>>);

impl Outputs {
    /// What a webhook sends in place of payloads, or beside them; none where it sends payloads alone. `view` is the
    /// webhook as the API shows it.
    pub(super) fn of(
        &self,
        webhook: &Webhook,
        view: &[u8],
        context: &Context,
    ) -> Result<Option<Arc<Output>>, Undeliverable> {
        if !is_own(&webhook.delivery) {
            return Ok(None);
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&webhook.id).cloned();
        if let Some((_, output)) = known.filter(|(revision, _)| *revision == webhook.revision) {
            return Ok(Some(output));
        }
        let plan = Plan::open(&webhook.delivery, &Plan::owner(webhook.id), &context.vault)?;
        let seen = Seen::new(view, webhook.external_xref.as_deref())?;
        let output = Arc::new(Output::new(&plan, seen, Reading::Lenient, &context.limits.deliver)?);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= ENTRIES_MAX {
            held.clear();
        }
        held.insert(webhook.id, (webhook.revision, output.clone()));
        Ok(Some(output))
    }
}

fn is_own(settings: &DeliverySettings) -> bool {
    settings.template.is_some() || settings.headers.is_some()
}
