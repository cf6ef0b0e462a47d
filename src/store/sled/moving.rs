//! The embedded store as one side of a move. sled's lock on its file keeps all others away.

use super::engine::SledEngine;
use super::{FILE, open};
use crate::limits::StoreLimits;
use crate::store::StoreError;
use crate::store::kv::engine::{Batch, Read, Scan, Span, Tree, Value};
use crate::store::kv::moves::MOVE;
use crate::store::moving::{Part, Side};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// sled, opened for a move.
pub(crate) struct SledSide {
    engine: Arc<SledEngine>,
    file: Arc<File>,
    rows_max: usize,
    bytes_max: usize,
}

impl SledSide {
    /// Opens the store in this directory; [`StoreError::Missing`] where there is none and it is not to be made.
    pub(crate) async fn open(path: &Path, is_made: bool, limits: &StoreLimits) -> Result<Self, StoreError> {
        if !is_made && !path.join(FILE).exists() {
            return Err(StoreError::Missing("store"));
        }
        let (path, limits): (PathBuf, StoreLimits) = (path.to_owned(), limits.clone());
        let (rows_max, bytes_max) = (limits.move_rows_max, limits.move_bytes_max);
        // Opening reads the whole file, which takes a while where much is kept.
        let (engine, file) = blocking(move || open(&path, &limits)).await?;
        let unknown = engine.unknown_trees();
        if !unknown.is_empty() {
            return Err(StoreError::Unreadable(format!(
                "a newer build has kept {} here: use that build",
                unknown.join(", ")
            )));
        }
        Ok(SledSide { engine, file: Arc::new(file), rows_max, bytes_max })
    }
}

/// Runs what waits for the disk where nobody waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the work on the disk broke off: {error}"))))
}

/// The rows behind a key that may be in one part.
fn part(
    read: &dyn Read,
    tree: Tree,
    after: Option<&[u8]>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Part, StoreError> {
    let (mut part, mut bytes) = (Part::default(), 0);
    for row in read.range(tree, Span::after(&[], after), Scan::Up) {
        let (key, value) = row?;
        bytes += key.len() + value.len();
        if part.rows.len() == rows_max || bytes > bytes_max && !part.rows.is_empty() {
            break;
        }
        part.rows.push((key, value));
    }
    part.last = part.rows.last().map(|(key, _)| key.to_vec()).unwrap_or_default();
    Ok(part)
}

#[async_trait]
impl Side for SledSide {
    async fn part(&self, tree: Tree, after: Option<&[u8]>) -> Result<Part, StoreError> {
        let (engine, after) = (self.engine.clone(), after.map(<[u8]>::to_vec));
        let (rows_max, bytes_max) = (self.rows_max, self.bytes_max);
        blocking(move || part(&*engine, tree, after.as_deref(), rows_max, bytes_max)).await
    }

    async fn move_row(&self) -> Result<Option<Value>, StoreError> {
        self.engine.get(Tree::Meta, MOVE)
    }

    async fn keep(&self, batch: Batch) -> Result<(), StoreError> {
        let (engine, file) = (self.engine.clone(), self.file.clone());
        blocking(move || engine.keep(batch, &file)).await
    }

    async fn nodes_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(None)
    }
}
