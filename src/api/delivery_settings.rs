//! How payloads are delivered, as webhooks and workspaces alike are set to: each field is read, checked and told apart
//! from what is not given.

use super::error::ApiError;
use super::wire::Fields;
use crate::limits::ApiLimits;
use crate::store::DeliverySettings;

/// Puts what is given into `settings`: what is left out stays as it is, and null goes back to what the workspace, or the
/// server, has set.
pub(crate) fn merge(settings: &mut DeliverySettings, fields: &Fields<'_>, limits: &ApiLimits) -> Result<(), ApiError> {
    if fields.is_null("retry_schedule") {
        settings.retry_schedule_ms = None;
    } else if let Some(waits) = retry_schedule(fields, limits)? {
        settings.retry_schedule_ms = Some(waits);
    }
    if fields.is_null("hub_signature") {
        settings.hub_signature = None;
    } else if let Some(is_wanted) = fields.flag("hub_signature")? {
        settings.hub_signature = Some(is_wanted);
    }
    Ok(())
}

/// `retry_schedule`: seconds after the attempt before, as milliseconds. An empty list is a choice too: no retries.
fn retry_schedule(fields: &Fields<'_>, limits: &ApiLimits) -> Result<Option<Vec<u64>>, ApiError> {
    const NAME: &str = "retry_schedule";
    let Some(waits) = fields.numbers(NAME)? else { return Ok(None) };
    if waits.len() > limits.retries_max {
        return Err(fields.error(NAME, format_args!("more than the {} retries that are taken", limits.retries_max)));
    }
    // The limits are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let (min, max) = (limits.retry_wait_floor_ms as f64, limits.retry_wait_max_ms as f64);
    let milliseconds = |wait: f64| {
        let wait_ms = (wait * 1_000.0).round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (min..=max).contains(&wait_ms).then_some(wait_ms as u64)
    };
    let waits: Option<Vec<u64>> = waits.into_iter().map(milliseconds).collect();
    let wrong = || fields.error(NAME, format_args!("expected seconds from {} to {}", min / 1_000.0, max / 1_000.0));
    waits.ok_or_else(wrong).map(Some)
}
