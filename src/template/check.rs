//! A plan is checked before it is kept: what would fail at a delivery is told at once.

use super::error::TemplateError;
use super::output::{Output, Payload, Reading, Rendered, Seen, data};
use super::plan::Plan;
use crate::limits::DeliverLimits;
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What samples are rendered with.
const KIND: &str = "VIRTUAL";
const NONCE: &str = "00000000000000000000000000000000";

/// A sample of what a webhook delivers.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// An object with every field, as JSON.
    pub object: &'a [u8],
    /// Fields beside them whose shape is the vendor's own: any name in them will do.
    pub open: &'a [&'a str],
}

/// Renders a plan with a sample, strictly, and with an object that has nothing but its id, as deliveries are rendered: a
/// delivery may lack any other field.
pub fn check(plan: &Plan, seen: &Seen, sample: Sample<'_>, limits: &DeliverLimits) -> Result<(), TemplateError> {
    let payload = |objects| Payload { objects, kind: KIND, nonce: NONCE };
    let full = Output::new(plan, seen.clone(), Reading::Strict, limits)?;
    full.render_data(with_open(&data(sample.object)?, sample.open), payload(sample.object))?;
    let bare = Output::new(plan, seen.clone(), Reading::Lenient, limits)?;
    bare.render(payload(br#"{"id":"1"}"#)).map(|_: Rendered| ()).map_err(|error| {
        let TemplateError { field, message } = error;
        let advice = "say what stands for a field that is missing, as in {{ x|default('') }}";
        TemplateError { field, message: format!("with an object that has only its id: {message}; {advice}") }
    })
}

/// The objects of `data` with fields that hold whatever is asked for.
fn with_open(data: &Value, open: &[&str]) -> Value {
    let Ok(objects) = data.try_iter() else { return data.clone() };
    let with_open = |object: Value| -> Value {
        let Ok(names) = object.try_iter() else { return object };
        let members = names.filter_map(|name| Some((name.clone(), object.get_item(&name).ok()?)));
        let open = open.iter().map(|&name| (Value::from(name), Value::from_object(Anything)));
        Value::from(members.chain(open).collect::<BTreeMap<_, _>>())
    };
    Value::from(objects.map(with_open).collect::<Vec<_>>())
}

/// Has every field, each of which has every field. Prints what may stand within quotes and without.
#[derive(Debug)]
pub(super) struct Anything;

impl Object for Anything {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(self.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0")
    }
}
