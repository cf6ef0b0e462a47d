use super::*;

fn with_faults(rules: Vec<FaultRule>) -> Vendor {
    let mut vendor = vendor(|_| {});
    vendor.set_faults(rules).unwrap();
    vendor
}

fn answer_under(fault: Fault) -> Answer {
    get(&mut with_faults(vec![FaultRule::always(fault)]), "/v1/contacts?limit=20", start())
}

#[test]
fn answers_go_wrong_as_asked() {
    let limited = answer_under(Fault::TooManyRequests { retry_after_s: Some(7) });
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    assert_eq!(answer_under(Fault::TooManyRequests { retry_after_s: None }).header("retry-after"), None);
    assert_eq!(answer_under(Fault::Status { status: 503 }).status, 503);
    assert_eq!(answer_under(Fault::ExpiredToken {}).status, 401);
    assert_eq!(answer_under(Fault::Slow { ms: 250 }).delay_ms, 250);
    assert_eq!(answer_under(Fault::Hang {}).transport, Transport::Hang);
    assert_eq!(answer_under(Fault::Reset {}).transport, Transport::Reset);
    assert_eq!(answer_under(Fault::WrongContentLength { by: -3 }).transport, Transport::LengthOff(-3));
    let cut = answer_under(Fault::TruncatedBody {});
    assert_eq!(cut.status, 200);
    assert!(serde_json::from_slice::<Page>(&cut.body).is_err() && cut.body.starts_with(b"{\"data\":["));
    let html = answer_under(Fault::HtmlBody {});
    assert!(html.status == 200 && html.body.starts_with(b"<!DOCTYPE html>"));
    let bad = answer_under(Fault::BadRecord {});
    assert!(bad.body.starts_with(br#"{"data":[{"id":"con_"#) && bad.records == 20);
    assert_eq!(String::from_utf8_lossy(&bad.body).matches("\"never\"").count(), 1);
}

#[test]
fn a_fault_strikes_where_and_as_often_as_it_was_told() {
    let rule = FaultRule { path: "/v1/deals".to_owned(), ..FaultRule::next(Fault::Status { status: 500 }, 2) };
    let mut vendor = with_faults(vec![rule]);
    let mut status = |target: &str| get(&mut vendor, target, start()).status;
    assert_eq!(status("/v1/contacts"), 200);
    assert_eq!([status("/v1/deals"), status("/v1/deals/dea_00000001"), status("/v1/deals")], [500, 500, 200]);

    let chance = FaultRule { probability: Some(0.3), ..FaultRule::always(Fault::Status { status: 500 }) };
    let mut vendor = with_faults(vec![chance]);
    let failed = (0..1_000).filter(|_| get(&mut vendor, "/v1/deals", start()).status == 500).count();
    assert!((250..350).contains(&failed), "{failed}");
    assert_eq!(vendor.answer(&request("DELETE", "/_control/faults", ""), start()).status, 200);
    assert!((0..50).all(|_| get(&mut vendor, "/v1/deals", start()).status == 200));
}

#[test]
fn faults_are_set_over_the_control_api_or_not_at_all() {
    let mut vendor = vendor(|_| {});
    let good = r#"[{"fault":{"kind":"status","status":503},"path":"/v1/deals","next":1},{"fault":{"kind":"hang"}}]"#;
    assert_eq!(post(&mut vendor, "/_control/faults", good, start()).status, 200);
    for bad in [
        r#"{"kind":"hang"}"#,
        r#"[{"fault":{"kind":"unheard_of"}}]"#,
        r#"[{"fault":{"kind":"slow","seconds":3}}]"#,
        r#"[{"fault":{"kind":"hang"},"nxt":3}]"#,
        r#"[{"fault":{"kind":"status","status":200}}]"#,
        r#"[{"fault":{"kind":"hang"},"probability":2}]"#,
        r#"[{"fault":{"kind":"clock_skew","ms":5},"next":1}]"#,
        r#"[{"fault":{"kind":"slow","ms":999999999}}]"#,
    ] {
        assert_eq!(post(&mut vendor, "/_control/faults", bad, start()).status, 400, "{bad}");
    }
    assert_eq!(get(&mut vendor, "/v1/deals", start()).status, 503, "what was in force still is");
}

#[test]
fn a_skewed_clock_shows_in_the_date_and_in_the_records() {
    let mut vendor = with_faults(vec![FaultRule::always(Fault::ClockSkew { ms: -90_000 })]);
    let made = post(&mut vendor, "/_control/contacts", "", start());
    assert_eq!(serde_json::from_slice::<Row>(&made.body).unwrap().updated_at, "2026-03-01T11:58:30Z");
    assert_eq!(get(&mut vendor, "/v1/contacts", start()).header("date"), Some("Sun, 01 Mar 2026 11:58:30 GMT"));
}

#[test]
fn late_changes_show_in_listings_only_later() {
    let mut vendor = with_faults(vec![FaultRule::always(Fault::LateVisibility { ms: 5_000 })]);
    let id = id_of(&post(&mut vendor, "/_control/contacts", "", after_ms(0)));
    vendor.update(Object::Contacts, "con_00000001", Default::default(), start().timestamp_millis()).unwrap();
    let target = "/v1/contacts?updated_gte=2026-03-01T12:00:00Z";
    assert_eq!(get(&mut vendor, &format!("/v1/contacts/{id}"), after_ms(1)).status, 200, "by id at once");
    assert_eq!(page(&mut vendor, target, after_ms(4_999)).total, 0);
    assert_eq!(page(&mut vendor, "/v1/contacts", after_ms(4_999)).total, 50, "the old version is still listed");
    assert_eq!(page(&mut vendor, target, after_ms(5_000)).ids(), ["con_00000001", id.as_str()]);
}

#[test]
fn a_late_change_comes_behind_later_ones_but_never_behind_its_own_records_later_ones() {
    let mut vendor = vendor(|settings| settings.records = 1);
    let late = FaultRule { probability: Some(0.5), ..FaultRule::always(Fault::LateVisibility { ms: 60_000 }) };
    vendor.set_faults(vec![late]).unwrap();
    let made: Vec<String> = (0..20).map(|_| id_of(&post(&mut vendor, "/_control/contacts", "", after_ms(0)))).collect();
    let shown = page(&mut vendor, "/v1/contacts?updated_gte=2026-03-01T12:00:00Z", after_ms(1_000));
    assert!((4..16).contains(&shown.total), "{}", shown.total);
    vendor.set_faults(Vec::new()).unwrap();
    let hidden = made.iter().find(|id| !shown.ids().contains(&id.as_str())).unwrap();
    vendor.update(Object::Contacts, hidden, Default::default(), after_ms(2_000).timestamp_millis()).unwrap();
    for ms in [3_000, 61_000] {
        let newest = page(&mut vendor, "/v1/contacts?order=desc&limit=1", after_ms(ms));
        assert_eq!((newest.ids()[0], newest.data[0].updated_at.as_str()), (hidden.as_str(), "2026-03-01T12:00:02Z"));
    }
    assert_eq!(page(&mut vendor, "/v1/contacts", after_ms(61_000)).total, 21);
}

#[test]
fn listings_misbehave_as_asked() {
    let mut ignored = with_faults(vec![FaultRule::always(Fault::IgnoredFilter {})]);
    assert_eq!(page(&mut ignored, "/v1/contacts?updated_gte=2030-01-01T00:00:00Z", start()).total, 50);

    let mut doubled = with_faults(vec![FaultRule::always(Fault::DuplicatedIds {})]);
    let first = page(&mut doubled, "/v1/contacts?sort=id&limit=10", start());
    let cursor = first.next_cursor.clone().unwrap();
    for target in
        ["/v1/contacts?sort=id&limit=10&offset=10".to_owned(), format!("/v1/contacts?limit=10&cursor={cursor}")]
    {
        assert_eq!(page(&mut doubled, &target, start()).data[0].id, first.data[9].id);
    }

    let mut expired = with_faults(vec![FaultRule::next(Fault::ExpiredCursor {}, 2)]);
    assert_eq!(get(&mut expired, "/v1/contacts?sort=id&limit=10", start()).status, 200);
    assert_eq!(get(&mut expired, &format!("/v1/contacts?cursor={cursor}"), start()).status, 410);
    assert_eq!(get(&mut expired, &format!("/v1/contacts?cursor={cursor}"), start()).status, 200);
}
