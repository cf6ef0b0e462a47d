//! What a connection declares in `auth.meta`. What is left out is as most senders do it: HMAC-SHA256 in hexadecimal over
//! the raw body.
//!
//! | setting | values |
//! |---|---|
//! | `signature_header` | the header with the signature, or with the secret itself |
//! | `signature_algorithm` | `hmac-sha256`, `hmac-sha1`, `hmac-sha512`, `equals` (the header holds the secret), `standard-webhooks` (everything but the paths is known then) |
//! | `signature_encoding` | `hex`, `base64` |
//! | `signature_prefix` | what stands before the signature, such as `sha256=` or `Bearer ` |
//! | `signature_item`, `signature_separator` | for headers such as `t=1,v1=ab`: the signature's item, and what stands between items (`,`) |
//! | `signed_content` | what is signed, with places as [`Template`] has them: `{body}`, `{timestamp}.{body}` |
//! | `timestamp_header`, `timestamp_item` or `timestamp_path` | where the signed time stands: a header, an item of the signature's header, or a path in the body |
//! | `timestamp_unit`, `timestamp_tolerance_s` | `s` or `ms`; how far from now it may be, 300 |
//! | `event_id_path` or `event_id_header` | where the id of the event stands, by which repeats are known |
//! | `event_type_path` or `event_type_header`, `event_time_path` | where its type and time stand |
//! | `handshake` | how the sender makes sure of the address: `head`, `query`, `body`, `token` or `secret` |
//! | `handshake_parameter`, `handshake_verb`, `handshake_check_parameter` | of `query`: the parameter that is answered; `get` or `post`; one that must equal the secret |
//! | `handshake_path`, `handshake_value` | of `body` and `token`: the field by which such a request is known, and its value if being there is not enough |
//! | `handshake_field`, `handshake_signed` | of `body`: the field that is answered; `no` where such a request is not signed |
//! | `handshake_field`, `handshake_digest_field` | of `token`: the path of the token, which is answered with its HMAC-SHA256 in hexadecimal in the other field |
//! | `handshake_header` | of `secret`: the header in which the sender tells its secret, once; `webhook_secret` is left out then |

use crate::contract::{
    ConnectorError, Content, DateLimits, Digest, EchoVerb, Encoding, Handshake, Hmac, KeyForm, KnownBy, NativeSpec,
    Registers, SignatureForm, Template, TimestampSource, ValueAt, Verification, is_header,
};
use std::collections::BTreeMap;

type Meta = BTreeMap<String, String>;

/// The greatest `timestamp_tolerance_s`: a day.
const TOLERANCE_MAX_S: u64 = 86_400;
const TOLERANCE_S: u64 = 300;

/// github.com/standard-webhooks/standard-webhooks, "Webhook scheme": the secret is base64 behind `whsec_`.
const STANDARD: Hmac<'static> = Hmac {
    header: "webhook-signature",
    form: SignatureForm::Standard,
    digest: Digest::Sha256,
    encoding: Encoding::Base64,
    key: KeyForm::Base64,
    content: Template("{header:webhook-id}.{timestamp}.{body}"),
    timestamp: Some(DateLimits {
        source: TimestampSource::Header("webhook-timestamp"),
        milliseconds: false,
        tolerance_s: TOLERANCE_S,
    }),
};

pub(super) fn read(meta: &Meta) -> Result<NativeSpec<'_>, ConnectorError> {
    header(meta, "event_type_header")?;
    Ok(NativeSpec {
        verification: verification(meta)?,
        delivery_id: Some(id(meta)?),
        registers: Registers::No,
        comparable: false,
        handshake: handshake(meta)?,
    })
}

/// Where the id of an event stands.
pub(super) fn id(meta: &Meta) -> Result<ValueAt<'_>, ConnectorError> {
    match (header(meta, "event_id_header")?, get(meta, "event_id_path")) {
        (Some(name), _) => Ok(ValueAt::Header(name)),
        (None, Some(path)) => Ok(ValueAt::Body(path)),
        (None, None) if algorithm(meta) == "standard-webhooks" => Ok(ValueAt::Header("webhook-id")),
        (None, None) => {
            Err(wrong("event_id_path", "is missing; name the path of the event's id in the body, or event_id_header"))
        }
    }
}

/// Where its type stands.
pub(super) fn kind(meta: &Meta) -> Option<ValueAt<'_>> {
    let path = get(meta, "event_type_path").map(ValueAt::Body);
    path.or_else(|| get(meta, "event_type_header").map(ValueAt::Header))
}

/// The path of its time.
pub(super) fn time_path(meta: &Meta) -> Option<&str> {
    get(meta, "event_time_path")
}

fn get<'a>(meta: &'a Meta, name: &str) -> Option<&'a str> {
    meta.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn wrong(name: &str, message: impl Into<String>) -> ConnectorError {
    ConnectorError::setting(format!("auth.meta.{name}"), message)
}

fn algorithm(meta: &Meta) -> &str {
    get(meta, "signature_algorithm").unwrap_or("hmac-sha256")
}

fn header<'a>(meta: &'a Meta, name: &str) -> Result<Option<&'a str>, ConnectorError> {
    match get(meta, name) {
        Some(header) if !is_header(header) => Err(wrong(name, "expected the name of a header, in lower case")),
        header => Ok(header),
    }
}

fn needed<'a>(meta: &'a Meta, name: &str, what: &str) -> Result<&'a str, ConnectorError> {
    get(meta, name).ok_or_else(|| wrong(name, format!("is missing; {what}")))
}

fn one_of<T: Copy>(meta: &Meta, name: &str, known: &[(&str, T)]) -> Result<T, ConnectorError> {
    let given = get(meta, name).unwrap_or(known[0].0);
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, value)| *value);
    found.ok_or_else(|| wrong(name, format!("expected one of {}", names.join(", "))))
}

fn verification(meta: &Meta) -> Result<Verification<'_>, ConnectorError> {
    let digest = match algorithm(meta) {
        "standard-webhooks" => return Ok(Verification::Hmac(STANDARD)),
        "equals" => None,
        "hmac-sha256" => Some(Digest::Sha256),
        "hmac-sha1" => Some(Digest::Sha1),
        "hmac-sha512" => Some(Digest::Sha512),
        _ => {
            let known = "hmac-sha256, hmac-sha1, hmac-sha512, equals, standard-webhooks";
            return Err(wrong("signature_algorithm", format!("expected one of {known}")));
        }
    };
    let name = header(meta, "signature_header")?;
    let header =
        name.ok_or_else(|| wrong("signature_header", "is missing; name the header that the sender signs in"))?;
    let prefix = get(meta, "signature_prefix").unwrap_or_default();
    let Some(digest) = digest else { return Ok(Verification::Equal { header, prefix }) };
    let content = Template(get(meta, "signed_content").unwrap_or(Template::BODY.0));
    let parts = content.parts();
    let parts =
        parts.ok_or_else(|| wrong("signed_content", "expected text with places such as {body} or {timestamp}"))?;
    if !parts.contains(&Content::Body) {
        return Err(wrong("signed_content", "must have the place {body}: what is not signed cannot be believed"));
    }
    let timestamp = timestamp(meta)?;
    let is_sent = timestamp.is_some_and(|limits| !matches!(limits.source, TimestampSource::Body(_)));
    if parts.contains(&Content::Timestamp) && !is_sent {
        return Err(wrong(
            "timestamp_header",
            "is missing; {timestamp} is signed, so name its header, or timestamp_item",
        ));
    }
    Ok(Verification::Hmac(Hmac {
        header,
        form: form(meta, prefix)?,
        digest,
        encoding: one_of(meta, "signature_encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)])?,
        key: KeyForm::Raw,
        content,
        timestamp,
    }))
}

fn form<'a>(meta: &'a Meta, prefix: &'a str) -> Result<SignatureForm<'a>, ConnectorError> {
    let Some(name) = get(meta, "signature_item") else { return Ok(SignatureForm::Prefixed(prefix)) };
    let mut separator = get(meta, "signature_separator").unwrap_or(",").chars();
    match (separator.next(), separator.next()) {
        (Some(separator), None) => Ok(SignatureForm::Items { separator, name }),
        _ => Err(wrong("signature_separator", "expected one character")),
    }
}

fn timestamp(meta: &Meta) -> Result<Option<DateLimits<'_>>, ConnectorError> {
    let source = match (header(meta, "timestamp_header")?, get(meta, "timestamp_item"), get(meta, "timestamp_path")) {
        (Some(name), ..) => TimestampSource::Header(name),
        (None, Some(name), _) => TimestampSource::Item(name),
        (None, None, Some(path)) => TimestampSource::Body(path),
        (None, None, None) => return Ok(None),
    };
    let milliseconds = one_of(meta, "timestamp_unit", &[("s", false), ("ms", true)])?;
    let tolerance_s = match get(meta, "timestamp_tolerance_s") {
        None => TOLERANCE_S,
        Some(text) => {
            let number = text.parse().ok().filter(|seconds| (1..=TOLERANCE_MAX_S).contains(seconds));
            number.ok_or_else(|| wrong("timestamp_tolerance_s", "expected seconds from 1 to 86400"))?
        }
    };
    Ok(Some(DateLimits { source, milliseconds, tolerance_s }))
}

fn handshake(meta: &Meta) -> Result<Option<Handshake<'_>>, ConnectorError> {
    match get(meta, "handshake") {
        None => Ok(None),
        Some("head") => Ok(Some(Handshake::Head)),
        Some("query") => Ok(Some(Handshake::QueryEcho {
            verb: one_of(meta, "handshake_verb", &[("get", EchoVerb::Get), ("post", EchoVerb::Post)])?,
            parameter: needed(meta, "handshake_parameter", "name the parameter whose value is to be answered")?,
            secret_parameter: get(meta, "handshake_check_parameter"),
        })),
        Some("body") => Ok(Some(Handshake::BodyEcho {
            known_by: known_by(meta)?,
            field: needed(meta, "handshake_field", "name the field whose value is to be answered")?,
            is_signed: one_of(meta, "handshake_signed", &[("yes", true), ("no", false)])?,
        })),
        Some("token") => Ok(Some(Handshake::TokenDigest {
            known_by: known_by(meta)?,
            token: needed(meta, "handshake_field", "name the path of the token")?,
            digest: needed(meta, "handshake_digest_field", "name the field that the token's digest is answered in")?,
        })),
        Some("secret") => {
            let header = header(meta, "handshake_header")?;
            let header = header.ok_or_else(|| wrong("handshake_header", "is missing; name the secret's header"))?;
            Ok(Some(Handshake::SecretHeader { header }))
        }
        Some(_) => Err(wrong("handshake", "expected one of head, query, body, token, secret")),
    }
}

fn known_by(meta: &Meta) -> Result<KnownBy<'_>, ConnectorError> {
    let path = needed(meta, "handshake_path", "name the path by which the request is known")?;
    Ok(KnownBy { path, value: get(meta, "handshake_value") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(pairs: &[(&str, &str)]) -> Meta {
        let minimal = [("signature_header", "x-sig"), ("event_id_path", "id")];
        minimal.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_left_out_is_as_most_senders_do_it() {
        let meta = meta(&[]);
        let native = read(&meta).unwrap();
        let Verification::Hmac(hmac) = native.verification else { panic!("{native:?}") };
        assert_eq!((hmac.header, hmac.digest, hmac.encoding), ("x-sig", Digest::Sha256, Encoding::Hex));
        assert_eq!((hmac.form, hmac.content), (SignatureForm::Prefixed(""), Template::BODY));
        assert!(hmac.timestamp.is_none() && native.handshake.is_none());
        assert_eq!(native.delivery_id, Some(ValueAt::Body("id")));
    }

    #[test]
    fn each_mistake_names_its_field() {
        for (name, value) in [
            ("signature_header", ""),
            ("signature_header", "X Sig"),
            ("signature_algorithm", "md5"),
            ("signature_encoding", "base32"),
            ("signed_content", "{boby}"),
            ("signed_content", "{url}"),
            ("timestamp_header", "no header"),
            ("event_id_header", "No"),
            ("event_id_path", ""),
            ("event_type_header", "No"),
            ("handshake", "dance"),
        ] {
            let meta = meta(&[(name, value)]);
            let Err(ConnectorError::Setting { field, .. }) = read(&meta) else { panic!("{name} {value:?} is taken") };
            assert_eq!(field, format!("auth.meta.{name}"), "{value:?}");
        }
        for (pairs, field) in [
            (vec![("signed_content", "{timestamp}.{body}")], "timestamp_header"),
            (vec![("timestamp_header", "x-time"), ("timestamp_unit", "h")], "timestamp_unit"),
            (vec![("timestamp_item", "t"), ("timestamp_tolerance_s", "0")], "timestamp_tolerance_s"),
            (vec![("signature_item", "v1"), ("signature_separator", ", ")], "signature_separator"),
            (vec![("handshake", "query")], "handshake_parameter"),
            (vec![("handshake", "query"), ("handshake_parameter", "c"), ("handshake_verb", "put")], "handshake_verb"),
            (vec![("handshake", "body"), ("handshake_path", "type")], "handshake_field"),
            (vec![("handshake", "body"), ("handshake_field", "challenge")], "handshake_path"),
            (vec![("handshake", "token"), ("handshake_path", "a"), ("handshake_field", "b")], "handshake_digest_field"),
            (vec![("handshake", "secret")], "handshake_header"),
        ] {
            let meta = meta(&pairs);
            let Err(ConnectorError::Setting { field: named, .. }) = read(&meta) else { panic!("{pairs:?} is taken") };
            assert_eq!(named, format!("auth.meta.{field}"));
        }
    }

    #[test]
    fn everything_else_can_be_declared() {
        let meta = meta(&[
            ("signature_algorithm", "hmac-sha512"),
            ("signature_encoding", "base64"),
            ("signature_item", "h1"),
            ("signature_separator", ";"),
            ("signed_content", "{timestamp}:{body}"),
            ("timestamp_item", "ts"),
            ("timestamp_unit", "ms"),
            ("timestamp_tolerance_s", "5"),
            ("event_id_header", "x-id"),
            ("handshake", "head"),
        ]);
        let native = read(&meta).unwrap();
        let Verification::Hmac(hmac) = native.verification else { panic!("{native:?}") };
        assert_eq!(hmac.form, SignatureForm::Items { separator: ';', name: "h1" });
        let limits = DateLimits { source: TimestampSource::Item("ts"), milliseconds: true, tolerance_s: 5 };
        assert_eq!((hmac.digest, hmac.timestamp), (Digest::Sha512, Some(limits)));
        assert_eq!((native.delivery_id, native.handshake), (Some(ValueAt::Header("x-id")), Some(Handshake::Head)));
    }
}
