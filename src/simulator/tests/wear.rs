use super::*;

fn with_fault(fault: Fault) -> Vendor {
    let mut vendor = vendor(|settings| settings.past_hours = 1);
    vendor.set_faults(vec![FaultRule::always(fault)]).unwrap();
    vendor
}

fn set(vendor: &mut Vendor, rules: Vec<FaultRule>) {
    vendor.set_faults(rules).unwrap();
}

#[test]
fn a_result_window_ends_paging_by_offset_and_no_other() {
    let mut vendor = with_fault(Fault::ResultWindow { records: 20 });
    let last = page(&mut vendor, "/v1/contacts?limit=10&offset=10", start());
    assert!(last.data.len() == 10 && last.has_more);
    let beyond = get(&mut vendor, "/v1/contacts?limit=10&offset=11", start());
    assert_eq!(beyond.status, 400);
    assert!(String::from_utf8_lossy(&beyond.body).contains("result_window"));
    let target = format!("/v1/contacts?limit=10&cursor={}", last.next_cursor.unwrap());
    assert_eq!(page(&mut vendor, &target, start()).data.len(), 10);
}

#[test]
fn records_change_behind_a_page_so_that_others_move_up() {
    let mut vendor = with_fault(Fault::ChangesWhilePaging { records: 3 });
    let first = page(&mut vendor, "/v1/contacts?limit=10", after_ms(1));
    set(&mut vendor, Vec::new());
    let again = page(&mut vendor, "/v1/contacts?limit=10", after_ms(2));
    assert_eq!(first.ids()[3..], again.ids()[..7], "the first three have gone to the end");
    let last = page(&mut vendor, "/v1/contacts?order=desc&limit=3", after_ms(2));
    assert_eq!(last.ids().into_iter().rev().collect::<Vec<_>>(), first.ids()[..3]);
}

#[test]
fn records_vanish_behind_a_page() {
    let mut vendor = with_fault(Fault::ShrinkingList { records: 2 });
    let first = page(&mut vendor, "/v1/contacts?sort=id&limit=10", after_ms(1));
    set(&mut vendor, Vec::new());
    assert_eq!(page(&mut vendor, "/v1/contacts?sort=id&limit=10", after_ms(2)).total, 48);
    assert_eq!(get(&mut vendor, &format!("/v1/contacts/{}", first.ids()[0]), after_ms(2)).status, 404);
    set(&mut vendor, vec![FaultRule::always(Fault::ShrinkingList { records: 2 })]);
    page(&mut vendor, "/v1/contacts?sort=id&limit=20&offset=40", after_ms(3));
    assert_eq!(page(&mut vendor, "/v1/contacts?limit=1", after_ms(3)).total, 48, "nothing follows a last page");
}

#[test]
fn a_page_is_empty_though_more_follow() {
    let mut vendor = with_fault(Fault::EmptyPage {});
    let empty = page(&mut vendor, "/v1/contacts?limit=10&offset=10", start());
    assert!(empty.data.is_empty() && empty.has_more && empty.total == 50);
    assert_eq!(page(&mut vendor, "/v1/contacts?limit=20&offset=40", start()).data.len(), 10, "nothing follows");
}

#[test]
fn a_copy_that_is_behind_shows_what_was() {
    let mut vendor = vendor(|settings| settings.past_hours = 1);
    let title = |title: &str| serde_json::Map::from_iter([("title".to_owned(), title.into())]);
    vendor.update(Object::Contacts, "con_00000001", title("one"), after_ms(1_000).timestamp_millis()).unwrap();
    vendor.update(Object::Contacts, "con_00000001", title("two"), after_ms(60_000).timestamp_millis()).unwrap();
    let new = vendor.create(Object::Contacts, title("new"), after_ms(61_000).timestamp_millis()).unwrap();
    let new = serde_json::from_slice::<Row>(&new).unwrap().id;
    set(&mut vendor, vec![FaultRule::always(Fault::LaggingReplica { ms: 30_000 })]);
    let target = "/v1/contacts?updated_gte=2026-03-01T12:00:00Z";
    let behind = page(&mut vendor, target, after_ms(80_000));
    assert_eq!((behind.ids(), behind.data[0].updated_at.as_str()), (vec!["con_00000001"], "2026-03-01T12:00:01Z"));
    let old = get(&mut vendor, "/v1/contacts/con_00000001", after_ms(80_000));
    assert!(String::from_utf8_lossy(&old.body).contains(r#""title":"one""#));
    assert_eq!(get(&mut vendor, &format!("/v1/contacts/{new}"), after_ms(80_000)).status, 404, "not there yet");
    assert_eq!(page(&mut vendor, target, after_ms(92_000)).ids(), ["con_00000001", new.as_str()]);
}

#[test]
fn volatile_fields_differ_from_answer_to_answer_and_nothing_else_does() {
    let mut vendor = with_fault(Fault::VolatileFields {});
    let mut body = |ms| {
        let answer = get(&mut vendor, "/v1/contacts/con_00000001", after_ms(ms));
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body).unwrap()
    };
    let (mut one, mut two) = (body(1), body(2));
    for field in ["fetched_at", "avatar_url"] {
        assert_ne!(one.remove(field).unwrap(), two.remove(field).unwrap());
    }
    assert_eq!(one, two);
    assert!(get(&mut vendor, "/v1/contacts", start()).header("etag").is_none());
}

#[test]
fn local_times_have_no_zone_in_answers_and_queries() {
    for (zone, shown) in [("Europe/Berlin", "2026-03-01T13:00:00"), ("+05:30", "2026-03-01T17:30:00")] {
        let mut vendor = with_fault(Fault::LocalTimes { zone: zone.to_owned() });
        let id = id_of(&post(&mut vendor, "/_control/contacts", "", start()));
        let found = page(&mut vendor, &format!("/v1/contacts?updated_gte={shown}"), start());
        assert_eq!(found.data.iter().find(|row| row.id == id).unwrap().updated_at, shown);
        assert_eq!(get(&mut vendor, "/v1/contacts?updated_gte=2026-03-01T12:00:00Z", start()).status, 400);
    }
    let wrong = r#"[{"fault":{"kind":"local_times","zone":"Mars/Olympus"}}]"#;
    assert_eq!(post(&mut vendor(|_| {}), "/_control/faults", wrong, start()).status, 400);
}

#[test]
fn a_local_time_that_comes_twice_is_taken_for_the_later() {
    let summer_ends: DateTime<Utc> = "2026-10-25T00:00:00Z".parse().unwrap();
    let mut vendor = Vendor::new(SimulatorSettings { records: 0, rate_limit: 0, ..Default::default() }, summer_ends);
    set(&mut vendor, vec![FaultRule::always(Fault::LocalTimes { zone: "Europe/Berlin".to_owned() })]);
    for minutes in [30, 70, 100] {
        let at = summer_ends + chrono::Duration::minutes(minutes);
        vendor.create(Object::Contacts, Default::default(), at.timestamp_millis()).unwrap();
    }
    let found = page(&mut vendor, "/v1/contacts?updated_gte=2026-10-25T02:30:00", summer_ends);
    assert_eq!(found.data[0].updated_at, "2026-10-25T02:40:00", "02:30 in summer and 02:10 in winter are before it");
    assert_eq!(found.total, 1);
}
