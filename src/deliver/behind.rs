//! What is remembered of log pages that go before every webhook has read them: from when on a webhook that rests has to
//! list again, and the deletions that no listing tells.

use crate::ids::WebhookId;
use crate::log::LogPage;
use crate::store::{KeptDeletion, Missed};
use anyhook_connectors::contract::Change;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A webhook that rests, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resting {
    pub(super) webhook: WebhookId,
    pub(super) sequence: u64,
    pub(super) event: Change,
}

/// What is remembered, page by page in their order.
#[derive(Debug, Default)]
pub(super) struct Memory {
    missed: HashMap<WebhookId, Missed>,
    deleted: HashMap<String, KeptDeletion>,
    returned: HashSet<String>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Memory {
    /// Takes a page that goes. One that cannot be read leaves a mark of an unknown time.
    pub(super) fn page(&mut self, sequence: u64, page: Option<&LogPage>, resting: &[Resting]) {
        let behind = || resting.iter().filter(|reader| reader.sequence <= sequence);
        for reader in behind() {
            let since = page.and_then(|page| page.meta.from);
            let missed = Missed { since, sequence, pages: 1, lost_deletions: page.is_none() };
            self.missed.entry(reader.webhook).and_modify(|known| *known = known.and(missed)).or_insert(missed);
        }
        let keeps_deletions = behind().any(|reader| reader.event == Change::Deleted);
        if let Some(page) = page.filter(|_| keeps_deletions) {
            self.fold(sequence, page);
        }
    }

    /// What came last of a record counts.
    fn fold(&mut self, sequence: u64, page: &LogPage) {
        for index in 0..page.len() {
            let object = page.object(index);
            let Some(id) = id_of(&object) else { continue };
            if page.change(index) != Some(Change::Deleted) {
                self.deleted.remove(&id);
                self.returned.insert(id);
                continue;
            }
            self.returned.remove(&id);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let raw = Some(page.raw(index)).filter(|raw| !raw.is_empty()).map(|raw| text(&raw));
            let at = page.meta.made_at;
            let kept = KeptDeletion { id: id.clone(), sequence, at, object: text(&object), raw };
            self.deleted.insert(id, kept);
        }
    }

    /// The marks, the deletions, and the records that returned.
    pub(super) fn finish(self) -> (Vec<(WebhookId, Missed)>, Vec<KeptDeletion>, Vec<String>) {
        let deletions = self.deleted.into_values().collect();
        (self.missed.into_iter().collect(), deletions, self.returned.into_iter().collect())
    }
}

fn id_of(object: &[u8]) -> Option<String> {
    serde_json::from_slice::<Object<'_>>(object).ok().map(|object| object.id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Found, LogPageBuilder, PageMeta};
    use chrono::{DateTime, Utc};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn page(from: Option<i64>, changes: &[(Change, &str)]) -> LogPage {
        let mut builder = LogPageBuilder::default();
        for (change, id) in changes {
            builder.push(*change, format!(r#"{{"id":"{id}"}}"#).as_bytes(), None);
        }
        let meta = PageMeta { found: Found::Virtual, made_at: at(9), from: from.map(at), token: None, is_last: false };
        LogPage::decode(&builder.encode(&meta).unwrap().bytes, 1 << 20).unwrap()
    }

    fn resting(webhook: u8, sequence: u64, event: Change) -> Resting {
        Resting { webhook: WebhookId::from_bytes([webhook; 12]), sequence, event }
    }

    #[test]
    fn a_mark_is_the_earliest_time_of_what_a_webhook_itself_missed() {
        let readers = [resting(1, 0, Change::Updated), resting(2, 2, Change::Updated), resting(3, 3, Change::Updated)];
        let mut memory = Memory::default();
        for (sequence, from) in (0..3).zip([200, 100, 300]) {
            memory.page(sequence, Some(&page(Some(from), &[(Change::Deleted, "x")])), &readers);
        }
        let (missed, deletions, returned) = memory.finish();
        let of = |webhook: u8| {
            missed.iter().find(|(id, _)| *id == WebhookId::from_bytes([webhook; 12])).map(|(_, missed)| *missed)
        };
        assert_eq!(of(1), Some(Missed { since: Some(at(100)), sequence: 0, pages: 3, lost_deletions: false }));
        assert_eq!(of(2), Some(Missed { since: Some(at(300)), sequence: 2, pages: 1, lost_deletions: false }));
        assert_eq!(of(3), None);
        assert!(deletions.is_empty() && returned.is_empty(), "nobody wants deletions");
    }

    #[test]
    fn a_page_without_a_time_makes_the_mark_unknown() {
        let readers = [resting(1, 0, Change::Updated)];
        let mut memory = Memory::default();
        memory.page(0, Some(&page(Some(100), &[])), &readers);
        memory.page(1, Some(&page(None, &[])), &readers);
        assert_eq!(memory.finish().0[0].1.since, None);
    }

    #[test]
    fn what_came_last_of_a_record_counts() {
        let readers = [resting(1, 0, Change::Deleted)];
        let mut memory = Memory::default();
        memory.page(0, Some(&page(Some(1), &[(Change::Deleted, "a"), (Change::Deleted, "b")])), &readers);
        memory.page(1, Some(&page(Some(2), &[(Change::Created, "a"), (Change::Updated, "c")])), &readers);
        memory.page(2, Some(&page(Some(3), &[(Change::Deleted, "c")])), &readers);
        let (_, mut deletions, returned) = memory.finish();
        deletions.sort_by(|a, b| a.id.cmp(&b.id));
        let kept: Vec<_> = deletions.iter().map(|kept| (kept.id.as_str(), kept.sequence)).collect();
        assert_eq!((kept, returned), (vec![("b", 0), ("c", 2)], vec!["a".to_owned()]));
    }
}
