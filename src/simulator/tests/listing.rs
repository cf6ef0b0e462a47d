use super::*;

/// Every id of a listing, by cursor.
fn walk_by_cursor(vendor: &mut Vendor, query: &str) -> Vec<String> {
    let mut target = format!("/v1/contacts?{query}");
    let mut ids = Vec::new();
    loop {
        let page = page(vendor, &target, start());
        ids.extend(page.data.into_iter().map(|row| row.id));
        match page.next_cursor {
            Some(cursor) => target = format!("/v1/contacts?limit=7&cursor={cursor}"),
            None => return ids,
        }
    }
}

fn walk_by_offset(vendor: &mut Vendor, query: &str) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = page(vendor, &format!("/v1/contacts?{query}&limit=7&offset={}", ids.len()), start());
        ids.extend(page.data.into_iter().map(|row| row.id));
        if !page.has_more {
            return ids;
        }
    }
}

#[test]
fn both_kinds_of_paging_list_every_record_once_in_every_order() {
    let mut vendor = vendor(|settings| settings.granularity = Granularity::Minute);
    for sort in ["updated_at", "created_at", "id"] {
        for filter in ["", "&updated_gte=2026-02-10T00:00:00Z", "&updated_lt=2026-02-10T00:00:00Z"] {
            let ascending = walk_by_cursor(&mut vendor, &format!("sort={sort}{filter}&limit=7"));
            assert_eq!(ascending, walk_by_offset(&mut vendor, &format!("sort={sort}{filter}")));
            let mut descending = walk_by_cursor(&mut vendor, &format!("sort={sort}&order=desc{filter}&limit=7"));
            assert_eq!(descending, walk_by_offset(&mut vendor, &format!("sort={sort}&order=desc{filter}")));
            descending.reverse();
            assert_eq!(ascending, descending);
            let mut once = ascending.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), ascending.len());
            assert!(if filter.is_empty() { once.len() == 50 } else { (1..50).contains(&once.len()) });
        }
    }
}

#[test]
fn the_filter_includes_its_lower_bound_and_excludes_its_upper_one() {
    let mut vendor = vendor(|_| {});
    let all = page(&mut vendor, "/v1/contacts?limit=20", start());
    assert!(all.data.is_sorted_by_key(|row| row.updated_at.parse::<DateTime<Utc>>().unwrap()));
    let (fifth, tenth) = (&all.data[4], &all.data[9]);
    let target = format!("/v1/contacts?updated_gte={}&updated_lt={}", fifth.updated_at, tenth.updated_at);
    let some = page(&mut vendor, &target, start());
    assert_eq!(some.ids(), all.ids()[4..9]);
    assert_eq!((some.total, some.has_more), (5, false));
    let after = page(&mut vendor, &format!("/v1/contacts?updated_gt={}", fifth.updated_at), start());
    assert_eq!(after.ids()[..5], all.ids()[5..10], "updated_gt excludes its bound");
}

#[test]
fn a_cursor_keeps_its_place_while_records_move() {
    let mut vendor = vendor(|_| {});
    let first = page(&mut vendor, "/v1/contacts?sort=id&limit=10", start());
    for id in &first.ids()[..5] {
        vendor.delete(Object::Contacts, id, after_ms(1).timestamp_millis()).unwrap();
    }
    let target = format!("/v1/contacts?limit=10&cursor={}", first.next_cursor.clone().unwrap());
    assert_eq!(page(&mut vendor, &target, after_ms(2)).data[0].id, "con_00000011");
    let other = format!("/v1/deals?cursor={}", first.next_cursor.unwrap());
    assert_eq!(get(&mut vendor, &other, start()).status, 400, "a cursor is good for its own listing alone");
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_reason() {
    let mut vendor = vendor(|_| {});
    for (query, word) in [
        ("limit=0", "limit"),
        ("limit=21", "limit"),
        ("offset=-1", "offset"),
        ("sort=name", "sort"),
        ("order=up", "order"),
        ("updated_gte=yesterday", "updated_gte"),
        ("cursor=rubbish", "cursor"),
        ("page=2", "page"),
    ] {
        let answer = get(&mut vendor, &format!("/v1/contacts?{query}"), start());
        assert_eq!(answer.status, 400, "{query}");
        assert!(String::from_utf8_lossy(&answer.body).contains(word), "{query}");
    }
    assert_eq!(get(&mut vendor, "/v1/unicorns", start()).status, 404);
    assert_eq!(get(&mut vendor, "/v1/contacts/con_99999999", start()).status, 404);
    assert_eq!(get(&mut vendor, "/v1/contacts/con_1", start()).status, 404, "an id has one spelling");
}

#[test]
fn an_unchanged_listing_is_304() {
    let mut vendor = vendor(|_| {});
    let tag = get(&mut vendor, "/v1/contacts?limit=5", start()).header("etag").unwrap().to_owned();
    let again = Request { if_none_match: Some(&tag), ..request("GET", "/v1/contacts?limit=5", "") };
    assert_eq!(vendor.answer(&again, start()).status, 304);
    vendor.update(Object::Contacts, "con_00000001", Default::default(), after_ms(1).timestamp_millis()).unwrap();
    assert_eq!(vendor.answer(&again, after_ms(1)).status, 200);
}

#[test]
fn a_listing_unchanged_since_a_time_is_304_and_a_tag_goes_before_that() {
    let mut vendor = vendor(|_| {});
    vendor.update(Object::Contacts, "con_00000001", Default::default(), after_ms(1).timestamp_millis()).unwrap();
    let shown_at = get(&mut vendor, "/v1/contacts", after_ms(1)).header("last-modified").unwrap().to_owned();
    let again = Request { if_modified_since: Some(&shown_at), ..request("GET", "/v1/contacts", "") };
    assert_eq!(vendor.answer(&again, after_ms(5)).status, 304);
    let other = Request { if_none_match: Some("other"), ..again };
    assert_eq!(vendor.answer(&other, after_ms(5)).status, 200);
    vendor.update(Object::Contacts, "con_00000001", Default::default(), after_ms(2_000).timestamp_millis()).unwrap();
    assert_eq!(vendor.answer(&again, after_ms(2_000)).status, 200);
}

#[test]
fn a_page_far_into_a_large_table_is_found_without_walking_there() {
    let mut vendor = vendor(|settings| settings.records = 20_000);
    let last = page(&mut vendor, "/v1/contacts?offset=19995", start());
    assert_eq!((last.data.len(), last.total, last.has_more), (5, 20_000, false));
    let gte = &last.data[0].updated_at;
    assert_eq!(page(&mut vendor, &format!("/v1/contacts?updated_gte={gte}"), start()).ids(), last.ids());
}
