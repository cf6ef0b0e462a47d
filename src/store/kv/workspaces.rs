//! Workspaces, and the store's own key.

use super::engine::{Read, Tree};
use super::keys::{FromKey, Index};
use super::rows::{Reader, Writer, damaged, from_json, load, save};
use super::txn::Txn;
use super::{Domain, Pace, Units, lists, moves};
use crate::ids::WorkspaceId;
use crate::store::{StoreError, Wake, Workspace, Workspaces};
use async_trait::async_trait;

const WHAT: &str = "workspace";
const STORE_KEY: &[u8] = b"store_key";
const STORE_KEY_FORMAT: u8 = 1;

pub(super) fn store_key(txn: &mut Txn<'_>, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
    if let Some(row) = txn.get(Tree::Meta, STORE_KEY)? {
        return Reader::new("store key", STORE_KEY_FORMAT, &row)?.array();
    }
    let mut row = Writer::new(STORE_KEY_FORMAT);
    row.raw(&fresh);
    txn.put(Tree::Meta, STORE_KEY, row.finish());
    Ok(fresh)
}

/// The workspace of a row.
pub(crate) fn read_workspace(row: &[u8]) -> Result<Workspace, StoreError> {
    from_json(WHAT, row)
}

pub(super) fn workspace(read: &dyn Read, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    load(read, Tree::Workspaces, id.as_bytes(), WHAT)
}

fn by_key(read: &dyn Read, key_hash: &[u8; 32]) -> Result<Option<WorkspaceId>, StoreError> {
    let row = read.get(Tree::Index, &Index::WorkspaceByKey.key(&[key_hash]))?;
    row.map(|id| WorkspaceId::from_key(&id).ok_or_else(|| damaged(WHAT))).transpose()
}

fn keep(txn: &mut Txn<'_>, workspace: &Workspace) -> Result<(), StoreError> {
    let key = Index::WorkspaceByKey.key(&[&workspace.key_hash]);
    txn.put(Tree::Index, key, workspace.id.as_bytes());
    save(txn, Tree::Workspaces, workspace.id.as_bytes(), WHAT, workspace)
}

fn insert(txn: &mut Txn<'_>, new: &Workspace) -> Result<(), StoreError> {
    if txn.has(Tree::Workspaces, new.id.as_bytes())? || by_key(txn, &new.key_hash)?.is_some() {
        return Err(StoreError::Exists(WHAT));
    }
    keep(txn, new)
}

/// Adds a workspace where there is none.
fn insert_first(txn: &mut Txn<'_>, new: &Workspace) -> Result<(), StoreError> {
    moves::check(txn)?;
    let any = txn.prefix(Tree::Workspaces, &[]).next().transpose()?;
    if any.is_some() { Err(StoreError::Exists(WHAT)) } else { insert(txn, new) }
}

fn replace(txn: &mut Txn<'_>, mut new: Workspace) -> Result<Workspace, StoreError> {
    let old = workspace(txn, new.id)?.ok_or(StoreError::Missing(WHAT))?;
    if old.revision != new.revision {
        return Err(StoreError::Conflict(WHAT));
    }
    if by_key(txn, &new.key_hash)?.is_some_and(|holder| holder != new.id) {
        return Err(StoreError::Exists(WHAT));
    }
    new.created_at = old.created_at;
    new.revision += 1;
    txn.remove(Tree::Index, Index::WorkspaceByKey.key(&[&old.key_hash]));
    txn.wake(Wake::WorkspaceChanged(new.id));
    keep(txn, &new)?;
    Ok(new)
}

#[async_trait]
impl<U: Units> Workspaces for U {
    async fn store_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| store_key(txn, fresh)).await
    }

    async fn insert_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| insert(txn, &workspace)).await
    }

    async fn insert_first_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| insert_first(txn, &workspace)).await
    }

    async fn replace_workspace(&self, workspace: Workspace) -> Result<Workspace, StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| replace(txn, workspace.clone())).await
    }

    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.read(|read| workspace(read, id)).await
    }

    async fn workspace_by_key(&self, key_hash: &[u8; 32]) -> Result<Option<Workspace>, StoreError> {
        self.read(|read| match by_key(read, key_hash)? {
            Some(id) => Ok(workspace(read, id)?.filter(|workspace| workspace.key_hash == *key_hash)),
            None => Ok(None),
        })
        .await
    }

    async fn workspaces(&self, after: Option<WorkspaceId>, limit: usize) -> Result<Vec<Workspace>, StoreError> {
        self.read(|read| {
            let after = after.as_ref().map(WorkspaceId::as_bytes);
            lists::rows(read, Tree::Workspaces, WHAT, after.map(|id| &id[..]), limit)
        })
        .await
    }
}
