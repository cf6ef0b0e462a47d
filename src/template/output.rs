//! A template and headers, compiled: what turns a payload into what is sent.

use super::CONTENT_TYPE;
use super::error::{TEMPLATE, TemplateError};
use super::escape::{self, Kind};
use super::headers::{field, header_name, header_value};
use super::plan::Plan;
use crate::limits::DeliverLimits;
use crate::store::TemplatePer;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::io;

/// How names that are not there are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// They are mistakes.
    Strict,
    /// They are fields that an object lacks: they print nothing.
    Lenient,
}

/// What a template sees beside the data.
#[derive(Debug, Clone)]
pub struct Seen {
    webhook: Value,
    external_xref: Option<String>,
}

impl Seen {
    /// The webhook as the API shows it, as JSON, and the customer's own name of the connection.
    pub fn new(webhook_json: &[u8], external_xref: Option<&str>) -> Result<Self, serde_json::Error> {
        Ok(Seen { webhook: serde_json::from_slice(webhook_json)?, external_xref: external_xref.map(str::to_owned) })
    }
}

/// A payload to be rendered.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Its objects joined by commas, without the brackets.
    pub objects: &'a [u8],
    /// Its `type`.
    pub kind: &'a str,
    /// Its `nonce`.
    pub nonce: &'a str,
}

/// What is sent in place of the payload, or beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// The body and its content type; the payload where there is no template.
    pub body: Option<(Bytes, HeaderValue)>,
    /// Headers beside our own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What came of a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// There is nothing to send.
    Nothing,
    /// This is sent.
    Parts(Parts),
}

/// A template and headers, compiled.
#[derive(Debug)]
pub struct Output {
    env: Environment<'static>,
    body: Option<Body>,
    headers: Vec<(HeaderName, Text)>,
    seen: Seen,
    body_bytes_max: usize,
    header_bytes_max: usize,
}

#[derive(Debug)]
struct Body {
    per: TemplatePer,
    kind: Kind,
    content_type: HeaderValue,
}

#[derive(Debug)]
enum Text {
    Fixed(HeaderValue),
    /// A template of the header's name.
    Written,
}

impl Output {
    /// Compiles a plan. Fails where it is none, or is larger than the limits.
    pub fn new(plan: &Plan, seen: Seen, reading: Reading, limits: &DeliverLimits) -> Result<Self, TemplateError> {
        let body = body(plan)?;
        let mut env = environment(reading, body.as_ref().map_or(Kind::Plain, |body| body.kind), limits);
        let bytes_max = limits.template_bytes_max;
        if let Some(source) = &plan.template {
            if source.len() > bytes_max {
                let message = format!("longer than the {bytes_max} bytes (ANYHOOK_DELIVER_TEMPLATE_BYTES_MAX)");
                return Err(TemplateError::new(TEMPLATE, message));
            }
            add(&mut env, TEMPLATE, TEMPLATE, source)?;
        }
        let headers = headers(plan, &mut env, limits)?;
        let (body_bytes_max, header_bytes_max) = (limits.template_output_bytes_max, limits.header_bytes_max);
        Ok(Output { env, body, headers, seen, body_bytes_max, header_bytes_max })
    }

    /// True if each batch has to hold one object.
    pub fn is_per_object(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.per == TemplatePer::Object)
    }

    /// Renders a payload: the same one always to the same bytes.
    pub fn render(&self, payload: Payload<'_>) -> Result<Rendered, TemplateError> {
        if self.is_per_object() && payload.objects.is_empty() {
            return Ok(Rendered::Nothing);
        }
        let is_written = self.headers.iter().any(|(_, text)| matches!(text, Text::Written));
        match self.body.is_some() || is_written {
            true => self.render_data(data(payload.objects)?, payload),
            false => self.render_seen(&Value::UNDEFINED),
        }
    }

    /// Renders data that were read already.
    pub(super) fn render_data(&self, data: Value, payload: Payload<'_>) -> Result<Rendered, TemplateError> {
        self.render_seen(&self.context(data, payload))
    }

    fn render_seen(&self, context: &Value) -> Result<Rendered, TemplateError> {
        let body = match &self.body {
            None => None,
            Some(body) => {
                let made = self.render_one(TEMPLATE, TEMPLATE, context, self.body_bytes_max)?;
                if made.trim_ascii().is_empty() {
                    return Ok(Rendered::Nothing);
                }
                if body.kind == Kind::Json {
                    check_json(&made)?;
                }
                Some((made.into(), body.content_type.clone()))
            }
        };
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            match text {
                Text::Fixed(value) => headers.push((name.clone(), value.clone())),
                Text::Written => headers.extend(self.header(name, context)?.map(|value| (name.clone(), value))),
            }
        }
        Ok(Rendered::Parts(Parts { body, headers }))
    }

    /// A header's value; none where its template makes nothing of it.
    fn header(&self, name: &HeaderName, context: &Value) -> Result<Option<HeaderValue>, TemplateError> {
        let field = field(name.as_str());
        let made = self.render_one(name.as_str(), &field, context, self.header_bytes_max)?;
        let text = String::from_utf8_lossy(made.trim_ascii());
        if text.is_empty() { Ok(None) } else { header_value(name, &text, self.header_bytes_max).map(Some) }
    }

    fn render_one(&self, name: &str, field: &str, context: &Value, max: usize) -> Result<Vec<u8>, TemplateError> {
        let fuel = self.env.fuel().unwrap_or_default();
        let template = self.env.get_template(name).map_err(|error| TemplateError::of(field, &error, fuel))?;
        let mut capped = Capped { bytes: Vec::new(), max, is_over: false };
        let rendered = template.render_captured_to(context.clone(), &mut capped).map(drop);
        match rendered {
            Ok(()) => Ok(capped.bytes),
            Err(error) if capped.is_over && error.kind() == ErrorKind::WriteFailure => {
                Err(TemplateError::new(field, format!("it makes more than the {max} bytes that are taken")))
            }
            Err(error) => Err(TemplateError::of(field, &error, fuel)),
        }
    }

    fn context(&self, data: Value, payload: Payload<'_>) -> Value {
        let object = self.is_per_object().then(|| data.get_item_by_index(0).ok()).flatten();
        let external_xref = self.seen.external_xref.as_deref().map(Value::from);
        let known = [
            Some(("data", data)),
            object.map(|object| ("object", object)),
            Some(("webhook", self.seen.webhook.clone())),
            Some(("type", payload.kind.into())),
            Some(("nonce", payload.nonce.into())),
            external_xref.map(|name| ("external_xref", name)),
        ];
        Value::from(known.into_iter().flatten().collect::<BTreeMap<_, _>>())
    }
}

/// Objects, joined by commas, as a template sees them.
pub(super) fn data(objects: &[u8]) -> Result<Value, TemplateError> {
    let wrong = |error| TemplateError::new(TEMPLATE, format!("the data cannot be read: {error}"));
    serde_json::from_slice(&[b"[", objects, b"]"].concat()).map_err(wrong)
}

fn environment(reading: Reading, kind: Kind, limits: &DeliverLimits) -> Environment<'static> {
    let mut env = Environment::new();
    // An error then says which part of the template it is about.
    env.set_debug(true);
    env.remove_global("debug");
    env.set_fuel(Some(limits.template_fuel));
    env.set_recursion_limit(limits.template_depth_max);
    env.set_undefined_behavior(match reading {
        Reading::Strict => UndefinedBehavior::Strict,
        Reading::Lenient => UndefinedBehavior::Chainable,
    });
    env.set_auto_escape_callback(move |name| if name == TEMPLATE { kind.auto_escape() } else { AutoEscape::None });
    env.set_formatter(escape::print);
    env
}

fn add(env: &mut Environment<'static>, name: &str, field: &str, source: &str) -> Result<(), TemplateError> {
    let added = env.add_template_owned(name.to_owned(), source.to_owned());
    added.map_err(|error| TemplateError::of(field, &error, 0))
}

fn body(plan: &Plan) -> Result<Option<Body>, TemplateError> {
    let text = plan.content_type.as_deref().unwrap_or(CONTENT_TYPE);
    let wrong =
        || TemplateError::new("content_type", "expected a type as in application/json or text/plain; charset=utf-8");
    let is_type =
        text.split(';').next().and_then(|essence| essence.trim().split_once('/')).is_some_and(|(kind, part)| {
            let is_token = |text: &str| HeaderName::try_from(text).is_ok();
            is_token(kind) && is_token(part)
        });
    let content_type = HeaderValue::from_str(text).ok().filter(|_| is_type).ok_or_else(wrong)?;
    let body = Body { per: plan.per, kind: Kind::of(text), content_type };
    Ok(plan.template.as_ref().map(|_| body))
}

fn headers(
    plan: &Plan,
    env: &mut Environment<'static>,
    limits: &DeliverLimits,
) -> Result<Vec<(HeaderName, Text)>, TemplateError> {
    if plan.headers.len() > limits.headers_max {
        let message = format!("more than the {} that are taken (ANYHOOK_DELIVER_HEADERS_MAX)", limits.headers_max);
        return Err(TemplateError::new("headers", message));
    }
    let mut headers = Vec::with_capacity(plan.headers.len());
    for (name, text) in &plan.headers {
        let name = header_name(name)?;
        let value = header_value(&name, text, limits.header_bytes_max)?;
        let is_template = ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark));
        if is_template {
            add(env, name.as_str(), &field(name.as_str()), text)?;
        }
        headers.push((name, if is_template { Text::Written } else { Text::Fixed(value) }));
    }
    Ok(headers)
}

fn check_json(made: &[u8]) -> Result<(), TemplateError> {
    let wrong = |error| {
        let advice = "put |tojson behind what stands outside of quotes, or set another content_type";
        TemplateError::new(TEMPLATE, format!("what it makes is not JSON: {error}; {advice}"))
    };
    serde_json::from_slice::<IgnoredAny>(made).map(drop).map_err(wrong)
}

/// Takes bytes up to a number.
struct Capped {
    bytes: Vec<u8>,
    max: usize,
    is_over: bool,
}

impl io::Write for Capped {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + part.len() > self.max {
            self.is_over = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
