use super::*;
use anyhook_connectors::contract::Change;

/// The whole vendor as text.
fn everything(vendor: &mut Vendor, now: DateTime<Utc>) -> String {
    let state = Object::ALL.map(|object| {
        let answer = get(vendor, &format!("/_control/state/{}?limit=10000", object.plural()), now);
        String::from_utf8(answer.body.to_vec()).unwrap()
    });
    let history = get(vendor, "/_control/history?limit=10000", now);
    format!("{}{}", state.concat(), String::from_utf8_lossy(&history.body))
}

#[test]
fn the_same_seed_gives_the_same_vendor_however_often_it_is_looked_at() {
    let settings = |seed| {
        move |settings: &mut SimulatorSettings| {
            settings.seed = seed;
            settings.changes_per_second = 40.0;
        }
    };
    let (mut one, mut two, mut other) = (vendor(settings(1)), vendor(settings(1)), vendor(settings(2)));
    for ms in (0..5_000).step_by(37) {
        one.tick(after_ms(ms));
        get(&mut one, "/v1/deals", after_ms(ms));
    }
    let first = everything(&mut one, after_ms(5_000));
    assert_eq!(first, everything(&mut two, after_ms(5_000)));
    assert_ne!(first, everything(&mut other, after_ms(5_000)));
}

#[test]
fn it_keeps_changing_at_the_pace_that_was_set() {
    let mut vendor = vendor(|settings| settings.changes_per_second = 100.0);
    let seeded = vendor.history().after(0).count();
    vendor.tick(after_ms(10_000));
    let made: Vec<&HistoryEntry> = vendor.history().after(seeded as u64).collect();
    assert!((1_000..=1_001).contains(&made.len()), "{}", made.len());
    for change in [Change::Created, Change::Updated, Change::Deleted] {
        assert!(made.iter().filter(|entry| entry.change == change).count() > 50, "{change:?}");
    }
    assert!(made.is_sorted_by_key(|entry| entry.at));
    assert_eq!(post(&mut vendor, "/_control/settings", r#"{"changes_per_second":0}"#, after_ms(10_000)).status, 204);
    let before = vendor.history().after(0).count();
    vendor.tick(after_ms(60_000));
    assert_eq!(vendor.history().after(0).count(), before);
}

#[test]
fn a_person_creates_changes_and_deletes_records() {
    let mut vendor = vendor(|_| {});
    let made = post(&mut vendor, "/_control/tickets", r#"{"subject":"Help","priority":"high"}"#, after_ms(10));
    let id = id_of(&made);
    assert!(String::from_utf8_lossy(&made.body).contains(r#""subject":"Help""#));
    let path = format!("/_control/tickets/{id}");
    let changed = vendor.answer(&request("PATCH", &path, r#"{"status":"solved"}"#), after_ms(20));
    assert_eq!(changed.status, 200);
    let newest = page(&mut vendor, "/v1/tickets?order=desc&limit=1", after_ms(30));
    assert_eq!(newest.data[0].id, id);
    assert_eq!(newest.data[0].created_at, "2026-03-01T12:00:00.010Z");
    assert_eq!(newest.data[0].updated_at, "2026-03-01T12:00:00.020Z");
    assert_eq!(vendor.answer(&request("DELETE", &path, ""), after_ms(40)).status, 204);
    assert_eq!(vendor.answer(&request("DELETE", &path, ""), after_ms(40)).status, 404);
    let newest = page(&mut vendor, "/v1/tickets?order=desc&limit=1", after_ms(50));
    assert!(newest.data[0].deleted && newest.data[0].updated_at == "2026-03-01T12:00:00.040Z");
    let changes: Vec<Change> = vendor.history().after(0).filter(|row| row.id == id).map(|row| row.change).collect();
    assert_eq!(changes, [Change::Created, Change::Updated, Change::Deleted]);
    assert_eq!(post(&mut vendor, "/_control/tickets", r#"{"id":"mine"}"#, start()).status, 400);
    assert_eq!(post(&mut vendor, "/_control/tickets", r#"{"updated_at":"soon"}"#, start()).status, 400);
}

#[test]
fn a_silent_deletion_leaves_nothing() {
    let mut vendor = vendor(|settings| settings.deletions = Deletions::Silent);
    vendor.delete(Object::Contacts, "con_00000007", after_ms(1).timestamp_millis()).unwrap();
    assert_eq!(get(&mut vendor, "/v1/contacts/con_00000007", after_ms(2)).status, 404);
    let ids = page(&mut vendor, "/v1/contacts?sort=id&limit=20", after_ms(2));
    assert!(!ids.ids().contains(&"con_00000007") && ids.total == 49);
}

#[test]
fn only_the_objects_that_were_named_have_records_at_the_start() {
    let mut vendor = vendor(|settings| settings.objects = vec![Object::Deals]);
    assert_eq!((vendor.len(Object::Deals), vendor.len(Object::Contacts)), (50, 0));
    assert_eq!(page(&mut vendor, "/v1/contacts", start()).total, 0);
}

#[test]
fn times_have_the_granule_that_was_set() {
    let mut vendor = vendor(|settings| settings.granularity = Granularity::Minute);
    let made = post(&mut vendor, "/_control/deals", "", after_ms(61_500));
    assert_eq!(serde_json::from_slice::<Row>(&made.body).unwrap().updated_at, "2026-03-01T12:01:00Z");
}

#[test]
fn everything_is_bounded() {
    let mut vendor = vendor(|settings| (settings.records_max, settings.history_max) = (60, 100));
    let bulk =
        |vendor: &mut Vendor, count| post(vendor, "/_control/deals/bulk", &format!(r#"{{"count":{count}}}"#), start());
    assert_eq!(bulk(&mut vendor, 11).status, 409);
    assert_eq!(bulk(&mut vendor, 10).status, 201);
    assert_eq!(post(&mut vendor, "/_control/deals", "", start()).status, 409);
    assert_eq!(bulk(&mut vendor, 0).status, 400);
    assert_eq!(vendor.len(Object::Deals), 60);
    assert_eq!(vendor.history().after(0).count(), 100);
    assert_eq!(vendor.history().dropped(), 110);
    assert_eq!(vendor.history().after(205).map(|row| row.seq).collect::<Vec<_>>(), [206, 207, 208, 209, 210]);
}

#[test]
fn the_state_is_paged_by_id() {
    let mut vendor = vendor(|_| {});
    let first = get(&mut vendor, "/_control/state/companies?limit=30", start());
    let first = String::from_utf8_lossy(&first.body).into_owned();
    assert!(first.ends_with(r#""next_after":"com_00000030"}"#), "{first}");
    let rest = get(&mut vendor, "/_control/state/companies?limit=30&after=com_00000030", start());
    let rest = String::from_utf8_lossy(&rest.body).into_owned();
    assert!(rest.starts_with(r#"{"data":[{"address""#) && rest.contains("com_00000050"));
    assert!(rest.ends_with(r#""next_after":null}"#));
}
