//! The audit trail, as it is asked about. How rows are kept is in `calls.rs`.

use super::call_rings::{self, RING_BYTES};
use super::calls::{self, Fold, SCOPE_BYTES, Scope};
use super::engine::{Read, Scan, Span, Tree};
use super::keys::{self, Index};
use super::rows::damaged;
use super::txn::Txn;
use super::{Domain, Pace, Units, lists};
use crate::ids::{WebhookId, WorkspaceId};
use crate::store::{ApiCall, ApiCallQuery, Audit, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// Rows that one list looks through. What lies behind them is reached by a narrower question.
const LOOKED_AT_MAX: usize = 20_000;

fn record(txn: &mut Txn<'_>, call: &ApiCall) -> Result<(), StoreError> {
    let scope = Scope::connection(call.connection_id);
    txn.expect(&|| vec![(Tree::Connections, call.connection_id.as_bytes().to_vec()), calls::place(scope)])?;
    if !txn.has(Tree::Connections, call.connection_id.as_bytes())? {
        return Err(StoreError::Missing("connection"));
    }
    calls::record(txn, scope, call.clone(), Fold::Nothing)
}

fn by_id(read: &dyn Read, id: &str) -> Result<Option<ApiCall>, StoreError> {
    let Some(ring) = calls::ring_of_id(id) else { return Ok(None) };
    let mut known = KnownScopes::default();
    if !known.has(read, &ring[..SCOPE_BYTES])? {
        return Ok(None);
    }
    let Some(key) = call_rings::find(read, &ring)? else { return Ok(None) };
    let Some(row) = read.get(Tree::Calls, &key)? else { return Ok(None) };
    let call = calls::read(&ring, &row)?;
    Ok(Some(call).filter(|call| call.id == id))
}

/// Which scopes exist, asked once each.
#[derive(Default)]
struct KnownScopes(HashMap<Vec<u8>, bool>);

impl KnownScopes {
    fn has(&mut self, read: &dyn Read, scope: &[u8]) -> Result<bool, StoreError> {
        if let Some(has) = self.0.get(scope) {
            return Ok(*has);
        }
        let has = read.has(Tree::CallCounters, scope)?;
        self.0.insert(scope.to_vec(), has);
        Ok(has)
    }
}

/// The scopes that hold all that a question is about; none where only the whole workspace does.
fn scopes(read: &dyn Read, query: &ApiCallQuery) -> Result<Option<Vec<Scope>>, StoreError> {
    if let Some(webhook) = query.webhook_id {
        return Ok(Some(vec![Scope::webhook(webhook)]));
    }
    let Some(feed) = query.feed_id else { return Ok(None) };
    let webhooks: Vec<WebhookId> =
        lists::ids(read, &Index::WebhookOfFeed.key(&[feed.as_bytes()]), None, LOOKED_AT_MAX)?;
    let webhooks = webhooks.into_iter().map(Scope::webhook);
    Ok(Some(std::iter::once(Scope::feed(feed)).chain(webhooks).collect()))
}

/// The keys of some scopes' rows in a workspace, in order of time.
fn keys_of_scopes(
    read: &dyn Read,
    workspace: WorkspaceId,
    scopes: &[Scope],
    query: &ApiCallQuery,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut found = Vec::new();
    for scope in scopes {
        for row in read.prefix(Tree::CallRings, &scope.0) {
            if found.len() >= LOOKED_AT_MAX {
                break;
            }
            let (ring, row) = row?;
            found.extend(call_rings::keys_of(&ring, &row)?);
        }
    }
    let span = span(workspace, query);
    found.retain(|key| *key >= span.from && span.to.as_ref().is_none_or(|to| key < to));
    found.sort_unstable();
    if !query.is_ascending {
        found.reverse();
    }
    Ok(found)
}

fn span(workspace: WorkspaceId, query: &ApiCallQuery) -> Span {
    let mut span = Span::prefix(workspace.as_bytes());
    if let Some(since) = query.since {
        span.from.extend_from_slice(&keys::time(since));
    }
    span
}

fn matches(query: &ApiCallQuery, call: &ApiCall) -> bool {
    query.connection_id.is_none_or(|wanted| wanted == call.connection_id)
        && query.webhook_id.is_none_or(|wanted| call.webhook_id == Some(wanted))
        && query.feed_id.is_none_or(|wanted| wanted == call.feed_id)
        && query.integration.as_ref().is_none_or(|wanted| *wanted == call.integration)
        && query.environment.as_ref().is_none_or(|wanted| *wanted == call.environment)
        && query.external_xref.as_ref().is_none_or(|wanted| call.external_xref.as_ref() == Some(wanted))
        && query.kind.is_none_or(|wanted| wanted == call.kind)
        && query.is_failure.is_none_or(|wanted| wanted == call.is_failure())
}

fn list(read: &dyn Read, workspace: WorkspaceId, query: &ApiCallQuery) -> Result<Vec<ApiCall>, StoreError> {
    let scan = if query.is_ascending { Scan::Up } else { Scan::Down };
    let rows: super::engine::Rows<'_> = match scopes(read, query)? {
        Some(scopes) => {
            let keys = keys_of_scopes(read, workspace, &scopes, query)?;
            Box::new(keys.into_iter().filter_map(|key| {
                let row = read.get(Tree::Calls, &key).transpose()?;
                Some(row.map(|row| (key.into(), row)))
            }))
        }
        None => read.range(Tree::Calls, span(workspace, query), scan),
    };
    let (mut known, mut found, mut passed) = (KnownScopes::default(), Vec::new(), 0);
    for row in rows.take(LOOKED_AT_MAX) {
        if found.len() == query.limit {
            break;
        }
        let (key, row) = row?;
        let ring = key.last_chunk::<RING_BYTES>().ok_or_else(|| damaged(calls::WHAT))?;
        let call = calls::read(ring, &row)?;
        if matches(query, &call) && known.has(read, &ring[..SCOPE_BYTES])? {
            if passed < query.offset {
                passed += 1;
            } else {
                found.push(call);
            }
        }
    }
    Ok(found)
}

#[async_trait]
impl<U: Units> Audit for U {
    async fn record_call(&self, call: ApiCall) -> Result<(), StoreError> {
        let domain = Domain::Connection(call.connection_id);
        self.write(domain, Pace::Lazy, move |txn| record(txn, &call)).await
    }

    async fn api_call(&self, id: &str) -> Result<Option<ApiCall>, StoreError> {
        self.read(|read| by_id(read, id)).await
    }

    async fn forget_calls(&self, before: DateTime<Utc>, rows_max: usize) -> Result<bool, StoreError> {
        self.write(Domain::Store, Pace::Lazy, move |txn| calls::forget_before(txn, before, rows_max)).await
    }

    async fn api_calls(&self, workspace: WorkspaceId, query: &ApiCallQuery) -> Result<Vec<ApiCall>, StoreError> {
        self.read(|read| list(read, workspace, query)).await
    }
}
