use super::*;

// The vector of the API's description: secret, data, nonce and the four digests.
const SECRET: &str = "wsecret";
const BASE64_BODY: &str = r#"{"data":[{"id":"1","name":"Ann"}],"nonce":"abc123","sig":"fVeTXlT/vVLDTjqUolqHuoobjZY=","sig256":"4XTMTHbYtJyzjTfMqd6CTxNBhC8UVzdBxVHrGw1paEU=","type":"VIRTUAL"}"#;
const HEX_BODY: &str = r#"{"data":[{"id":"1","name":"Ann"}],"nonce":"abc123","sig":"7d57935e54ffbd52c34e3a94a25a87ba8a1b8d96","sig256":"e174cc4c76d8b49cb38d37cca9de824f1341842f14573741c551eb1b0d696845"}"#;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn outcomes(body: &str, headers: &[(String, String)], secret: &str) -> (Vec<Outcome>, Vec<String>, bool) {
    let report = check(body.as_bytes(), headers, secret, now()).unwrap();
    let good = report.is_good();
    (report.checks.into_iter().map(|check| check.outcome).collect(), report.notes, good)
}

fn matches(form: &str) -> Outcome {
    Outcome::Matches(form.to_owned())
}

/// Signed by an implementation that is not ours.
fn signed(body: &str, secret: &str, sent_s: i64) -> Vec<(String, String)> {
    let signer = standardwebhooks::Webhook::new(secret).unwrap();
    let signature = signer.sign("msg_1", sent_s, body.as_bytes()).unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("Webhook-Id", "msg_1"),
        header("webhook-timestamp", &sent_s.to_string()),
        header("webhook-signature", &format!("v1,AAAA {signature}")),
    ]
}

#[test]
fn the_published_vector_matches_in_both_encodings() {
    for (body, form) in [(BASE64_BODY, "base64"), (HEX_BODY, "hex")] {
        let (outcomes, notes, good) = outcomes(body, &[], SECRET);
        assert_eq!(outcomes[..2], [matches(form), matches(form)]);
        assert!(matches!(outcomes[2], Outcome::Absent(_)) && notes.is_empty() && good);
    }
}

#[test]
fn a_changed_payload_and_another_secret_differ() {
    for (body, secret) in [(BASE64_BODY.replace("Ann", "Ana"), SECRET), (BASE64_BODY.to_owned(), "wsecreT")] {
        let (outcomes, _, good) = outcomes(&body, &[], secret);
        assert!(matches!(outcomes[..2], [Outcome::Differs(_), Outcome::Differs(_)]) && !good, "{outcomes:?}");
    }
    let (one, _, good) = outcomes(&BASE64_BODY.replace("4XTM", "5XTM"), &[], SECRET);
    assert!(one[0] == matches("base64") && matches!(one[1], Outcome::Differs(_)) && !good);
}

#[test]
fn a_reformatted_payload_still_matches_and_is_told_of() {
    let pretty = BASE64_BODY.replace(r#"[{"id":"1","name":"Ann"}]"#, "[\n  { \"id\": \"1\",\t\"name\": \"Ann\" }\r\n]");
    let (outcomes, notes, good) = outcomes(&pretty, &[], SECRET);
    assert!(good && outcomes[1] == matches("base64"));
    assert!(notes[0].contains("spaces"), "{notes:?}");
    assert_eq!(compact(r#"[ "a \" b\\" , 1 ]"#), r#"["a \" b\\",1]"#);
}

#[test]
fn standard_webhooks_headers_of_another_implementation_match() {
    let secret = format!("whsec_{}", BASE64.encode([7; 32]));
    let report =
        check(BASE64_BODY.as_bytes(), &signed(BASE64_BODY, &secret, now().timestamp()), &secret, now()).unwrap();
    assert_eq!(report.checks[2].outcome, matches("v1"));
    assert!(report.notes.is_empty(), "{:?}", report.notes);

    let with_line_break = format!("{BASE64_BODY}\n");
    let (outcomes, notes, _) =
        outcomes(&with_line_break, &signed(BASE64_BODY, &secret, now().timestamp() - 301), &secret);
    assert_eq!(outcomes[2], matches("v1"));
    assert!(notes[0].contains("line break") && notes[1].contains("301 s ago"), "{notes:?}");
}

#[test]
fn a_changed_body_or_a_missing_header_is_told_apart() {
    let secret = format!("whsec_{}", BASE64.encode([7; 32]));
    let mut headers = signed(BASE64_BODY, &secret, now().timestamp());
    let changed = BASE64_BODY.replace("VIRTUAL", "NATIVE");
    let differs = |outcome: &Outcome, text: &str| matches!(outcome, Outcome::Differs(why) if why.contains(text));
    assert!(differs(&outcomes(&changed, &headers, &secret).0[2], "byte for byte"));
    headers.remove(1);
    assert!(differs(&outcomes(BASE64_BODY, &headers, &secret).0[2], "no webhook-timestamp given"));
    assert!(differs(&outcomes(BASE64_BODY, &signed(BASE64_BODY, &secret, 0), "whsec_?").0[2], "another secret"));
}

#[test]
fn what_is_no_payload_is_refused() {
    for body in ["", "[]", "{}", r#"{"data":{},"nonce":"x"}"#, r#"{"data":[]}"#] {
        assert!(check(body.as_bytes(), &[], SECRET, now()).is_err(), "{body}");
    }
}
