//! Published vectors where a vendor gives one, else signatures made here by the formula the vendor documents.

use super::*;
use anyhook_connectors::contract::Template;

const BODY: Hmac<'_> = Hmac {
    header: "x-signature",
    form: SignatureForm::Prefixed(""),
    digest: Digest::Sha256,
    encoding: Encoding::Hex,
    key: KeyForm::Raw,
    content: Template::BODY,
    timestamp: None,
};

/// docs.github.com, "Validating webhook deliveries".
const GITHUB: Hmac<'_> = Hmac { header: "x-hub-signature-256", form: SignatureForm::Prefixed("sha256="), ..BODY };

/// docs.slack.dev, "Verifying requests from Slack".
const SLACK: Hmac<'_> = Hmac {
    header: "x-slack-signature",
    form: SignatureForm::Prefixed("v0="),
    content: Template("v0:{timestamp}:{body}"),
    timestamp: Some(DateLimits {
        source: TimestampSource::Header("x-slack-request-timestamp"),
        milliseconds: false,
        tolerance_s: 300,
    }),
    ..BODY
};

/// docs.stripe.com, "Resolve webhook signature verification errors".
const STRIPE: Hmac<'_> = Hmac {
    header: "stripe-signature",
    form: SignatureForm::Items { separator: ',', name: "v1" },
    content: Template("{timestamp}.{body}"),
    timestamp: Some(DateLimits { source: TimestampSource::Item("t"), milliseconds: false, tolerance_s: 300 }),
    ..BODY
};

/// github.com/standard-webhooks/standard-webhooks, "Signature scheme".
const STANDARD: Hmac<'_> = Hmac {
    header: "webhook-signature",
    form: SignatureForm::Standard,
    encoding: Encoding::Base64,
    key: KeyForm::Base64,
    content: Template("{header:webhook-id}.{timestamp}.{body}"),
    timestamp: Some(DateLimits {
        source: TimestampSource::Header("webhook-timestamp"),
        milliseconds: false,
        tolerance_s: 300,
    }),
    ..BODY
};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn check(scheme: Hmac<'_>, secret: &str, headers: &[(&str, &str)], body: &str, now: i64) -> Result<(), NotVerified> {
    let headers = Headers::from_pairs(headers.iter().copied());
    let delivery =
        Delivery { method: "POST", url: "https://hooks.example/in?a=1", headers: &headers, body: body.as_bytes() };
    verify(&Verification::Hmac(scheme), &[secret], &delivery, at(now))
}

fn hex_of(key: &[u8], parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    hex::encode(sign(Digest::Sha256, key, &parts).unwrap())
}

#[test]
fn github_published_vector() {
    let secret = "It's a Secret to Everybody";
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("X-Hub-Signature-256", signature)];
    assert_eq!(check(GITHUB, secret, &headers, "Hello, World!", 0), Ok(()));
    assert_eq!(check(GITHUB, secret, &headers, "Hello, World?", 0), Err(NotVerified::Wrong));
    assert_eq!(check(GITHUB, "another", &headers, "Hello, World!", 0), Err(NotVerified::Wrong));
    assert_eq!(check(GITHUB, secret, &[], "Hello, World!", 0), Err(missing("x-hub-signature-256")));
    let upper = signature.to_uppercase().replace("SHA256=", "sha256=");
    assert_eq!(check(GITHUB, secret, &[("x-hub-signature-256", &upper)], "Hello, World!", 0), Ok(()));
    for odd in ["sha256=", "sha1=757107ea", "757107ea"] {
        let result = check(GITHUB, secret, &[("x-hub-signature-256", odd)], "Hello, World!", 0);
        assert_eq!(result, Err(missing("x-hub-signature-256")), "{odd}");
    }
    for odd in ["sha256=zz", "sha256=75"] {
        let result = check(GITHUB, secret, &[("x-hub-signature-256", odd)], "Hello, World!", 0);
        assert_eq!(result, Err(NotVerified::Wrong), "{odd}");
    }
}

#[test]
fn slack_published_vector_and_its_age() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("x-slack-request-timestamp", "1531420618"),
    ];
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    assert_eq!(check(SLACK, secret, &headers, body, 1_531_420_618), Ok(()));
    assert_eq!(check(SLACK, secret, &headers, body, 1_531_420_618 + 300), Ok(()));
    assert_eq!(check(SLACK, secret, &headers, body, 1_531_420_618 + 301), Err(NotVerified::Stale(300)));
    assert_eq!(check(SLACK, secret, &headers, body, 1_531_420_618 - 301), Err(NotVerified::Stale(300)));
    let other_time = [headers[0], ("x-slack-request-timestamp", "1531420619")];
    assert_eq!(check(SLACK, secret, &other_time, body, 1_531_420_618), Err(NotVerified::Wrong));
    assert_eq!(check(SLACK, secret, &headers[..1], body, 0), Err(missing("x-slack-request-timestamp")));
}

#[test]
fn several_items_and_the_time_among_them() {
    let right = hex_of(b"whsec_x", &["100", ".", "{}"]);
    let header = format!("t=100, v1={}, v1={right}, v0={right}", "0".repeat(64));
    assert_eq!(check(STRIPE, "whsec_x", &[("stripe-signature", &header)], "{}", 100), Ok(()));
    let only_v0 = format!("t=100,v0={right}");
    assert_eq!(
        check(STRIPE, "whsec_x", &[("stripe-signature", &only_v0)], "{}", 100),
        Err(missing("stripe-signature"))
    );
    let no_time = format!("v1={right}");
    let result = check(STRIPE, "whsec_x", &[("stripe-signature", &no_time)], "{}", 100);
    assert_eq!(result, Err(missing("stripe-signature: t=")));
    let odd_time = format!("t=soon,v1={}", hex_of(b"whsec_x", &["soon", ".", "{}"]));
    let result = check(STRIPE, "whsec_x", &[("stripe-signature", &odd_time)], "{}", 100);
    assert_eq!(result, Err(NotVerified::Stale(300)));
}

#[test]
fn standard_webhooks_as_its_own_library_signs() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let library = standardwebhooks::Webhook::new(secret).unwrap();
    let signature = library.sign("msg_1", 100, b"{}").unwrap();
    let both = format!("v1,{} {signature} v1a,AAAA", BASE64.encode([0; 32]));
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", "100"), ("webhook-signature", &both)];
    assert_eq!(check(STANDARD, secret, &headers, "{}", 100), Ok(()));
    assert_eq!(check(STANDARD, &secret["whsec_".len()..], &headers, "{}", 100), Ok(()));
    assert_eq!(check(STANDARD, "whsec_not base64", &headers, "{}", 100), Err(NotVerified::BadSecret));
    assert_eq!(check(STANDARD, secret, &headers[1..], "{}", 100), Err(missing("webhook-id")));
    let other_id = [("webhook-id", "msg_2"), headers[1], headers[2]];
    assert_eq!(check(STANDARD, secret, &other_id, "{}", 100), Err(NotVerified::Wrong));
}

#[test]
fn every_other_kind_of_content_digest_and_time() {
    let full = Hmac {
        digest: Digest::Sha1,
        encoding: Encoding::Base64,
        content: Template("{method}{url}{body}{timestamp}"),
        timestamp: Some(DateLimits { source: TimestampSource::Header("x-time"), milliseconds: true, tolerance_s: 1 }),
        ..BODY
    };
    let parts: [&[u8]; 4] = [b"POST", b"https://hooks.example/in?a=1", b"body", b"100500"];
    let signature = BASE64.encode(sign(Digest::Sha1, b"k", &parts).unwrap());
    let headers = [("x-signature", signature.as_str()), ("x-time", "100500")];
    assert_eq!(check(full, "k", &headers, "body", 101), Ok(()));
    assert_eq!(check(full, "k", &headers, "body", 102), Err(NotVerified::Stale(1)));
    assert_eq!(check(full, "k", &headers, "bodY", 101), Err(NotVerified::Wrong));
}

/// linear.app/developers/webhooks, "Securing webhooks".
#[test]
fn a_time_in_the_signed_body() {
    let source = TimestampSource::Body("webhookTimestamp");
    let limits = DateLimits { source, milliseconds: true, tolerance_s: 60 };
    let linear = Hmac { timestamp: Some(limits), ..BODY };
    let checked = |body: &str, now| {
        let signature = hex_of(b"k", &[body]);
        check(linear, "k", &[("x-signature", signature.as_str())], body, now)
    };
    let body = r#"{"data":{"webhookTimestamp":1},"webhookTimestamp":100500}"#;
    assert_eq!(checked(body, 101), Ok(()));
    assert_eq!(checked(&body.replace("100500", "\"100500\""), 101), Ok(()));
    assert_eq!(checked(body, 161), Err(NotVerified::Stale(60)));
    assert_eq!(
        checked(r#"{"data":{"webhookTimestamp":100500}}"#, 101),
        Err(NotVerified::NoTime("webhookTimestamp".into()))
    );
    assert_eq!(check(linear, "k", &[("x-signature", "00")], body, 101), Err(NotVerified::Wrong));
}

#[test]
fn a_header_that_equals_the_secret() {
    let verification = Verification::Equal { header: "x-gitlab-token", prefix: "" };
    let result = |headers: &[(&str, &str)]| {
        let headers = Headers::from_pairs(headers.iter().copied());
        verify(
            &verification,
            &["old", "secret"],
            &Delivery { method: "POST", url: "", headers: &headers, body: b"" },
            at(0),
        )
    };
    assert_eq!(result(&[("X-Gitlab-Token", "secret")]), Ok(()));
    assert_eq!(result(&[("X-Gitlab-Token", "secre")]), Err(NotVerified::Wrong));
    assert_eq!(result(&[]), Err(missing("x-gitlab-token")));
}
