//! A vendor's page into log pages and ledger rows. Pure.

use super::diff::{self, DiffRules, Verdict};
use crate::log::{EncodedPage, LogPageBuilder, PageMeta};
use crate::store::{ChangeCounts, LedgerEntry};
use anyhook_connectors::contract::{BadRecord, Change, ObjectSpec, Page, Record, RecordError};
use anyhook_connectors::json;
use chrono::{DateTime, Utc};
use std::borrow::Cow;
use std::collections::HashMap;

/// How pages for a log or spool are made.
#[derive(Debug, Clone)]
pub struct PageForm {
    /// What every page says of itself.
    pub meta: PageMeta,
    /// True if the vendor's own objects are kept.
    pub keeps_raw: bool,
    /// Bytes of objects and raws in one page; a larger record gets a page of its own.
    pub bytes_max: usize,
}

/// Cuts records into pages.
#[derive(Debug)]
pub struct Pages {
    form: PageForm,
    open: LogPageBuilder,
    done: Vec<EncodedPage>,
}

impl Pages {
    /// No pages yet.
    pub fn new(form: PageForm) -> Self {
        Pages { form, open: LogPageBuilder::default(), done: Vec::new() }
    }

    /// Adds a record; an error where its raw form is no JSON. An empty one is none: of a deletion often only the id is
    /// known.
    pub fn push(&mut self, change: Change, record: &Record<'_>) -> Result<(), RecordError> {
        let raw =
            if self.form.keeps_raw && !record.raw.is_empty() { Some(json::canonical(&record.raw)?) } else { None };
        let bytes = record.object.len() + raw.as_ref().map_or(0, String::len);
        if !self.open.is_empty() && self.open.bytes() + bytes > self.form.bytes_max {
            let full = std::mem::take(&mut self.open);
            self.done.push(full.encode(&self.form.meta)?);
        }
        self.open.push(change, &record.object, raw.as_deref().map(str::as_bytes));
        Ok(())
    }

    /// The pages. `is_last` marks the last one, which is made even if it is empty.
    pub fn finish(mut self, is_last: bool) -> Result<Vec<EncodedPage>, serde_json::Error> {
        if is_last || !self.open.is_empty() {
            let meta = PageMeta { is_last, ..self.form.meta };
            self.done.push(self.open.encode(&meta)?);
        }
        Ok(self.done)
    }
}

/// What a vendor's page comes to.
#[derive(Debug, Default)]
pub struct Sifted {
    /// Changes for the log.
    pub pages: Vec<EncodedPage>,
    /// Ledger rows to set, each id once.
    pub ledger: Vec<(String, LedgerEntry)>,
    /// How many changes there are of each kind.
    pub changes: ChangeCounts,
    /// Records that could not be kept after all.
    pub bad: Vec<BadRecord>,
}

/// Sifts a page. `held` is what the ledger holds, by id; `forget_before` what need not be remembered.
pub fn sift<'a>(
    page: &'a Page<'_>,
    mut held: HashMap<&'a str, LedgerEntry>,
    spec: &ObjectSpec,
    rules: &DiffRules,
    forget_before: Option<DateTime<Utc>>,
    form: PageForm,
) -> Result<Sifted, serde_json::Error> {
    let forget_before_ms = forget_before.map_or(i64::MIN, |at| at.timestamp_millis());
    let mut pages = Pages::new(form);
    let mut sifted = Sifted::default();
    let mut set: HashMap<&str, LedgerEntry> = HashMap::new();
    for record in &page.records {
        let id: &'a str = record.id.as_ref();
        let entry = diff::entry(record, spec);
        match diff::judge(record, &entry, held.get(id), rules) {
            Verdict::Known => continue,
            Verdict::Quiet => {}
            Verdict::Changed(change) => match pages.push(change, record) {
                Ok(()) => sifted.changes += ChangeCounts::of(change, 1),
                Err(error) => {
                    sifted.bad.push(bad(record, error));
                    continue;
                }
            },
        }
        // What is held of it already must not outlive what it has become.
        let was_held = held.insert(id, entry).is_some();
        if was_held || entry.updated_at_ms >= forget_before_ms {
            set.insert(id, entry);
        }
    }
    sifted.pages = pages.finish(false)?;
    sifted.ledger = set.into_iter().map(|(id, entry)| (id.to_owned(), entry)).collect();
    Ok(sifted)
}

/// A record that is gone, as far as it is known; `raw` is empty where it is not.
pub fn gone<'a>(id: &'a str, object: Vec<u8>, raw: &'a str) -> Record<'a> {
    Record {
        id: Cow::Borrowed(id),
        updated_at: None,
        created_at: None,
        deleted: true,
        revision: None,
        object,
        raw: Cow::Borrowed(raw),
    }
}

fn bad(record: &Record<'_>, error: RecordError) -> BadRecord {
    BadRecord { id: Some(Cow::clone(&record.id).into_owned()), error, raw: record.raw.clone().into_owned() }
}
