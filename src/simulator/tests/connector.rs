//! The integration `sandbox` and the simulator are made for each other; here they meet.

use super::*;
use anyhook_connectors::contract::{
    Account, ApiRequest, ApiResponse, Arrival, Change, Connector, Headers, HookJob, ListingKind, NativeEvent,
    ObjectSpec, PageJob,
};
use anyhook_connectors::walk::{Step, Walk};
use std::collections::BTreeMap;

fn sandbox() -> &'static dyn Connector {
    anyhook_connectors::find("sandbox").unwrap()
}

fn ask(vendor: &mut Vendor, asked: &ApiRequest, now: DateTime<Utc>) -> (u16, Headers, Vec<u8>) {
    let body = asked.body.as_deref().unwrap_or_default();
    let answer = vendor.answer(&request(asked.method.as_str(), &asked.target, body), now);
    (answer.status, Headers::from_pairs(answer.headers), answer.body.to_vec())
}

/// What a walk finds: id to (raw, deleted), the last one seen.
fn walk(
    vendor: &mut Vendor,
    spec: &'static ObjectSpec,
    kind: ListingKind,
    mut between: impl FnMut(&mut Vendor),
) -> BTreeMap<String, (String, bool)> {
    let none = BTreeMap::new();
    let mut walk = Walk::new(spec, kind, None, 7, None);
    let mut found = BTreeMap::new();
    loop {
        let job = PageJob {
            spec,
            kind,
            account: Account { meta: &none },
            filters: &none,
            parent: None,
            updated_gte: walk.updated_gte(),
            cursor: None,
            place: walk.place(),
            limit: walk.limit(),
        };
        let (status, headers, body) = ask(vendor, &sandbox().page_request(&job).unwrap(), start());
        let response = ApiResponse { status, headers: &headers, body: &body };
        let page = sandbox().read_page(&job, &response).unwrap();
        assert_eq!(page.bad, []);
        found.extend(page.records.iter().map(|r| (r.id.to_string(), (r.raw.clone().into_owned(), r.deleted))));
        match walk.step(&page).unwrap() {
            Step::End => return found,
            Step::Ask => between(vendor),
            Step::Wait(_) => unreachable!("the sandbox never makes anyone wait"),
        }
    }
}

#[test]
fn both_listings_find_every_record_as_it_is() {
    let mut vendor = vendor(|settings| settings.granularity = Granularity::Minute);
    for nth in 1..=12 {
        let object = Object::ALL[nth as usize % 4];
        vendor.delete(object, &object.id(nth), start().timestamp_millis()).unwrap();
    }
    for spec in sandbox().manifest().objects {
        let object = Object::parse(spec.raw_object).unwrap();
        for kind in [ListingKind::Live, ListingKind::History] {
            let found = walk(&mut vendor, spec, kind, |_| {});
            assert_eq!(found.len(), vendor.len(object), "{spec:?} {kind:?}");
            assert_eq!(found.values().filter(|(_, deleted)| *deleted).count(), 3);
            for (id, (raw, _)) in &found {
                assert_eq!(vendor.record(object, id).unwrap(), raw.as_bytes());
            }
        }
    }
}

#[test]
fn the_live_listing_misses_nothing_while_records_change_under_it() {
    let mut vendor = vendor(|settings| settings.records = 60);
    let spec = sandbox().manifest().objects.iter().find(|spec| spec.raw_object == "deals").unwrap();
    let mut now_ms = start().timestamp_millis();
    let mut nth = 0;
    let found = walk(&mut vendor, spec, ListingKind::Live, |vendor| {
        if nth < 10 {
            nth += 1;
            now_ms += 1;
            vendor.update(Object::Deals, &Object::Deals.id(nth * 5), Default::default(), now_ms).unwrap();
            vendor.create(Object::Deals, Default::default(), now_ms).unwrap();
        }
    });
    assert_eq!(found.len(), vendor.len(Object::Deals));
    for (id, (raw, _)) in &found {
        assert_eq!(vendor.record(Object::Deals, id).unwrap(), raw.as_bytes(), "its last version was seen");
    }
}

#[test]
fn a_registered_webhook_hears_of_its_type_until_it_is_removed() {
    let mut vendor = vendor(|_| {});
    let none = BTreeMap::new();
    let account = Account { meta: &none };
    let object_type = anyhook_connectors::model::ObjectType::CrmContact;
    let ingress_url = "http://127.0.0.1:1/in";
    let job = HookJob { account, object_type, filters: &none, ingress_url, secret: "shh" };
    let (status, headers, body) = ask(&mut vendor, &sandbox().register_request(&job).unwrap(), start());
    let response = ApiResponse { status, headers: &headers, body: &body };
    let registration = sandbox().read_registration(&job, &response).unwrap();

    let now_ms = start().timestamp_millis();
    vendor.create(Object::Deals, Default::default(), now_ms).unwrap();
    vendor.delete(Object::Contacts, "con_00000004", now_ms).unwrap();
    let push = vendor.take_push().unwrap();
    assert!(push.url == ingress_url && vendor.take_push().is_none());
    let event = NativeEvent { account, headers: &headers, query: &none, body: &push.body };
    let arrivals = sandbox().read_event(&event).unwrap();
    let [Arrival::Record { change: Change::Deleted, record, .. }] = arrivals.as_slice() else {
        panic!("{arrivals:?}");
    };
    let listed = vendor.record(Object::Contacts, "con_00000004").unwrap();
    assert!(record.deleted && record.raw.as_bytes() == listed, "an event's record is the listing's, byte for byte");

    let removed = ask(&mut vendor, &sandbox().remove_request(&job, &registration).unwrap(), start());
    assert_eq!(removed.0, 204);
    vendor.delete(Object::Contacts, "con_00000005", now_ms).unwrap();
    assert!(vendor.take_push().is_none());
}
