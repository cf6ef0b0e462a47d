use super::*;
use std::collections::BTreeMap;

const CLIENT: &str = "client_id=sandbox-client&client_secret=sandbox-client-secret";

fn as_bearer<'a>(target: &'a str, header: &'a str) -> Request<'a> {
    Request { authorization: Some(header), ..request("GET", target, "") }
}

fn refresh(vendor: &mut Vendor, token: &str, now: DateTime<Utc>) -> Result<(String, String), u16> {
    let form = format!("grant_type=refresh_token&refresh_token={token}&{CLIENT}");
    let answer = vendor.answer(&Request { authorization: None, ..request("POST", "/oauth/token", &form) }, now);
    if answer.status != 200 {
        return Err(answer.status);
    }
    let fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(fields["expires_in"], 60);
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    Ok((format!("Bearer {}", text("access_token")), text("refresh_token")))
}

#[test]
fn no_token_or_a_wrong_one_is_401() {
    let mut vendor = vendor(|_| {});
    for header in [None, Some("Bearer wrong"), Some("Bearer "), Some("sandbox")] {
        let answer = vendor.answer(&Request { authorization: header, ..request("GET", "/v1/deals", "") }, start());
        assert_eq!(answer.status, 401, "{header:?}");
    }
}

#[test]
fn refresh_tokens_work_once_and_access_tokens_for_their_time() {
    let mut vendor = vendor(|settings| settings.access_token_lifetime_s = 60);
    let (access, next) = refresh(&mut vendor, "sandbox-refresh", start()).unwrap();
    assert_eq!(refresh(&mut vendor, "sandbox-refresh", start()), Err(400), "it was used");
    assert_eq!(vendor.answer(&as_bearer("/v1/deals", &access), after_ms(59_999)).status, 200);
    assert_eq!(vendor.answer(&as_bearer("/v1/deals", &access), after_ms(60_000)).status, 401);
    let (access, _) = refresh(&mut vendor, &next, after_ms(60_000)).unwrap();
    assert_eq!(vendor.answer(&as_bearer("/v1/deals", &access), after_ms(60_000)).status, 200);
    assert_eq!(post(&mut vendor, "/_control/oauth/revoke", "", after_ms(60_000)).status, 204);
    assert_eq!(vendor.answer(&as_bearer("/v1/deals", &access), after_ms(60_000)).status, 401);
}

#[test]
fn a_consent_gives_a_code_that_works_once_to_this_machine_alone() {
    let mut vendor = vendor(|_| {});
    let target = "/oauth/authorize?client_id=sandbox-client&state=s&redirect_uri=http://127.0.0.1:1/back";
    let answer = get(&mut vendor, target, start());
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let given: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!((answer.status, given["state"].as_str()), (302, "s"));
    let form = format!("grant_type=authorization_code&code={}&{CLIENT}", given["code"]);
    assert_eq!(post_form(&mut vendor, &form), 200);
    assert_eq!(post_form(&mut vendor, &form), 400);
    assert_eq!(post_form(&mut vendor, "grant_type=refresh_token&refresh_token=sandbox-refresh"), 401);
    let away = "/oauth/authorize?client_id=sandbox-client&redirect_uri=https://example.com/";
    assert_eq!(get(&mut vendor, away, start()).status, 400);
}

fn post_form(vendor: &mut Vendor, form: &str) -> u16 {
    vendor.answer(&Request { authorization: None, ..request("POST", "/oauth/token", form) }, start()).status
}

#[test]
fn over_the_limit_it_is_429_until_retry_after() {
    let mut vendor = vendor(|settings| (settings.rate_limit, settings.rate_limit_per_s) = (3, 30));
    let answers: Vec<Answer> = (0..4).map(|_| get(&mut vendor, "/v1/deals?limit=1", start())).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 429]);
    let left: Vec<_> = answers.iter().map(|answer| answer.header("x-ratelimit-remaining").unwrap()).collect();
    assert_eq!(left, ["2", "1", "0", "0"]);
    assert_eq!(answers[3].header("retry-after"), Some("10"));
    assert_eq!(get(&mut vendor, "/v1/deals?limit=1", after_ms(10_000)).status, 200);
    let stats = vendor.stats();
    assert_eq!((stats.requests, stats.rate_limited, stats.records_served), (5, 1, 4));
    assert_eq!(stats.by_route["GET /v1/deals"], 5);
}

#[test]
fn webhooks_are_told_of_what_they_listen_to() {
    let mut vendor = vendor(|_| {});
    let hook = r#"{"url":"http://127.0.0.1:9/hook","events":["contact.updated","deal.*"],"secret":"shh"}"#;
    assert_eq!(post(&mut vendor, "/v1/webhooks", hook, start()).status, 201);
    let now_ms = after_ms(5).timestamp_millis();
    vendor.create(Object::Contacts, Default::default(), now_ms).unwrap();
    vendor.update(Object::Contacts, "con_00000002", Default::default(), now_ms).unwrap();
    vendor.delete(Object::Deals, "dea_00000003", now_ms).unwrap();
    let (updated, deleted) = (vendor.take_push().unwrap(), vendor.take_push().unwrap());
    assert!(vendor.take_push().is_none());
    let head = r#"{"event":"contact.updated","id":"con_00000002","at":"2026-03-01T12:00:00.005Z","data":{"record":{"#;
    assert!(updated.body.starts_with(head.as_bytes()));
    assert!(deleted.body.starts_with(br#"{"event":"deal.deleted","id":"dea_00000003""#));
    assert_ne!(updated.delivery_id, deleted.delivery_id);
    for refused in [
        hook.replace("127.0.0.1", "example.com"),
        hook.replace("contact.updated", "contact.seen"),
        hook.replace("shh", ""),
    ] {
        assert_eq!(post(&mut vendor, "/v1/webhooks", &refused, start()).status, 400, "{refused}");
    }
    assert_eq!(vendor.answer(&request("DELETE", "/v1/webhooks/whk_1", ""), start()).status, 204);
    assert_eq!(vendor.answer(&request("DELETE", "/v1/webhooks/whk_1", ""), start()).status, 404);
    vendor.delete(Object::Deals, "dea_00000004", now_ms).unwrap();
    assert!(vendor.take_push().is_none());
}
