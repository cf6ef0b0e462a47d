//! The unified object of the category `custom`: what a sender that no integration knows has pushed.

use super::kinds::Text;
use super::unified_object;
use serde_json::value::RawValue;

unified_object! {
    /// One event as it was pushed.
    CustomEvent {
        payload: Option<Box<RawValue>>,
        #[serde(rename = "type")]
        kind: Text<'a>,
    }
}
