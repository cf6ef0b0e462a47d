use super::*;
use crate::log::{LogPageBuilder, PageMeta};
use chrono::DateTime;
use proptest::prelude::*;

fn page(found: Found, changes: &[Change]) -> LogPage {
    let mut builder = LogPageBuilder::default();
    for (index, change) in changes.iter().enumerate() {
        let object = format!(r#"{{"id":"{index}","name":"n{index}"}}"#);
        builder.push(*change, object.as_bytes(), Some(format!(r#"{{"r":{index}}}"#).as_bytes()));
    }
    let meta = PageMeta { found, made_at: DateTime::UNIX_EPOCH, from: None, token: None, is_last: false };
    LogPage::decode(&builder.encode(&meta).unwrap().bytes, 1 << 20).unwrap()
}

fn want(event: Change, fields: &[&str]) -> Want {
    let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
    Want { event, projection: Projection::new(&fields), records_max: 100, bytes_max: 1 << 20 }
}

fn ids(cut: &Cut) -> Vec<usize> {
    #[derive(serde::Deserialize)]
    struct Object {
        id: String,
    }
    let objects: Vec<Object> = serde_json::from_slice(&[b"[", &cut.objects[..], b"]"].concat()).unwrap();
    objects.into_iter().map(|object| object.id.parse().unwrap()).collect()
}

use Change::{Created, Deleted, Updated};

#[test]
fn each_event_gets_its_changes() {
    let live = page(Found::Virtual, &[Created, Updated, Deleted, Created]);
    assert_eq!(ids(&cut(&live, 0, &want(Created, &[])).unwrap()), [0, 3]);
    assert_eq!(ids(&cut(&live, 0, &want(Updated, &[])).unwrap()), [0, 1, 3]);
    assert_eq!(ids(&cut(&live, 0, &want(Deleted, &[])).unwrap()), [2]);
    let listed = page(Found::Listed, &[Created, Updated, Deleted]);
    assert_eq!(ids(&cut(&listed, 0, &want(Created, &[])).unwrap()), [0, 1]);
}

#[test]
fn a_page_without_matches_is_passed_whole() {
    let cut = cut(&page(Found::Virtual, &[Updated, Updated]), 0, &want(Deleted, &[])).unwrap();
    assert_eq!((cut.records, cut.next, cut.is_page_end, cut.objects.len()), (0, 2, true, 0));
}

#[test]
fn a_batch_passes_over_what_follows_it_and_is_not_wanted() {
    let page = page(Found::Virtual, &[Created, Updated, Created, Updated]);
    let want = Want { records_max: 1, ..want(Created, &[]) };
    let first = cut(&page, 0, &want).unwrap();
    assert_eq!((first.records, first.next, first.is_page_end), (1, 2, false));
    let second = cut(&page, 2, &want).unwrap();
    assert_eq!((second.records, second.next, second.is_page_end), (1, 4, true));
}

#[test]
fn a_run_is_a_slice_of_the_page() {
    let page = page(Found::Virtual, &[Created; 4]);
    let whole = page.objects(0..4);
    let cut = cut(&page, 1, &want(Created, &[])).unwrap();
    assert_eq!(cut.objects, page.objects(1..4));
    assert_eq!(cut.objects.as_ptr(), whole[whole.len() - cut.objects.len()..].as_ptr());
}

#[test]
fn bytes_bound_a_batch_but_never_stop_it() {
    let page = page(Found::Virtual, &[Created; 3]);
    let one = page.object(0).len();
    for fields in [&[][..], &["name"]] {
        let bounded = |bytes_max| cut(&page, 0, &Want { bytes_max, ..want(Created, fields) }).unwrap().records;
        assert_eq!(bounded(1), 1);
        assert_eq!(bounded(2 * one + 2), 1);
        assert_eq!(bounded(2 * one + 3), 2);
    }
}

#[test]
fn raw_comes_along_when_named() {
    let page = page(Found::Virtual, &[Created, Updated]);
    let cut = cut(&page, 0, &want(Updated, &["name", "raw"])).unwrap();
    assert_eq!(cut.objects, &br#"{"id":"0","name":"n0","raw":{"r":0}},{"id":"1","name":"n1","raw":{"r":1}}"#[..]);
}

#[test]
fn the_end_of_the_last_page_completes_a_listing() {
    let kind = |is_last, is_end| payload_type(Found::Listed, is_last, is_end).as_str();
    assert_eq!(kind(true, true), "INITIAL-COMPLETE");
    assert_eq!(kind(true, false), "INITIAL-PARTIAL");
    assert_eq!(kind(false, true), "INITIAL-PARTIAL");
    assert_eq!(payload_type(Found::Native, true, true).as_str(), "NATIVE");
    assert_eq!(payload_type(Found::Virtual, false, true).as_str(), "VIRTUAL");
}

proptest! {
    /// However it is cut, every matching record comes once and in order, and the same cut gives the same bytes.
    #[test]
    fn batches_cover_a_page(
        changes in prop::collection::vec(prop::sample::select(vec![Created, Updated, Deleted]), 0..30),
        event in prop::sample::select(vec![Created, Updated, Deleted]),
        records_max in 1..8u32,
        bytes_max in 1..200usize,
        projected: bool,
    ) {
        let page = page(Found::Virtual, &changes);
        let fields: &[&str] = if projected { &["name"] } else { &[] };
        let want = Want { records_max, bytes_max, ..want(event, fields) };
        let (mut from, mut seen) = (0, Vec::new());
        loop {
            let batch = cut(&page, from, &want).unwrap();
            prop_assert!(batch.records <= records_max);
            prop_assert_eq!(ids(&batch).len(), batch.records as usize);
            let again = cut(&page, from, &Want { records_max: batch.records.max(1), bytes_max: usize::MAX, ..want.clone() });
            prop_assert_eq!(&again.unwrap().objects, &batch.objects);
            seen.extend(ids(&batch));
            prop_assert_eq!(batch.is_page_end, batch.next as usize == changes.len());
            if batch.is_page_end {
                break;
            }
            prop_assert!(batch.next > from);
            from = batch.next;
        }
        let wanted: Vec<usize> = (0..changes.len()).filter(|&at| matches(event, Found::Virtual, changes[at])).collect();
        prop_assert_eq!(seen, wanted);
    }
}
