//! What a destination may be set to besides its subscriptions.

use crate::api::error::ApiError;
use crate::api::wire::Fields;
use crate::settings::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Characters of a secret at least: fewer can be guessed.
const SECRET_MIN: usize = 16;
/// Characters of a secret at most.
const SECRET_MAX: usize = 256;

/// `secret`, where one is given.
pub(super) fn secret(fields: &Fields<'_>) -> Result<Option<Secret>, ApiError> {
    let Some(text) = fields.text("secret")? else { return Ok(None) };
    if !(SECRET_MIN..=SECRET_MAX).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = format!("expected {SECRET_MIN} to {SECRET_MAX} visible ASCII characters");
        return Err(fields.error("secret", expected));
    }
    let encoded = text.strip_prefix("whsec_");
    if encoded.is_some_and(|encoded| BASE64.decode(encoded).is_err()) {
        return Err(fields.error("secret", "begins with `whsec_`, so base64 has to follow, with its padding"));
    }
    Ok(Some(Secret::new(text.to_owned())))
}
