//! Whether two stores hold the same: each is read from its beginning, by none of the places that copying went by.

use super::{Side, Watch, bytes, moved, trees};
use crate::store::StoreError;
use crate::store::kv::engine::Tree;
use xxhash_rust::xxh3::xxh3_128;

/// What a tree, or several, come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    /// How many rows there are.
    pub(crate) rows: u64,
    /// Bytes of keys and values.
    pub(crate) bytes: u64,
    /// The sum of a hash of each row, modulo 2^128: the same in whatever order they come.
    pub(crate) checksum: u128,
}

/// What each tree that is moved comes to.
pub(crate) async fn sums(side: &dyn Side, watch: &dyn Watch) -> Result<Vec<(Tree, Sum)>, StoreError> {
    let mut sums = Vec::new();
    let mut row = Vec::new();
    for tree in trees() {
        let (mut sum, mut after) = (Sum::default(), None::<Vec<u8>>);
        loop {
            let part = side.part(tree, after.as_deref()).await?;
            if part.rows.is_empty() {
                break;
            }
            let before = sum;
            for (key, value) in moved(tree, part.rows) {
                sum.rows += 1;
                sum.bytes += bytes(&key, &value);
                sum.checksum = sum.checksum.wrapping_add(hash(&mut row, tree, &key, &value));
            }
            watch.went(tree, sum.rows - before.rows, sum.bytes - before.bytes);
            after = Some(part.last);
        }
        sums.push((tree, sum));
    }
    Ok(sums)
}

/// A row's hash: of its tree, how long its key is, its key and its value.
fn hash(buffer: &mut Vec<u8>, tree: Tree, key: &[u8], value: &[u8]) -> u128 {
    buffer.clear();
    for part in [tree.name().as_bytes(), &[0], &(key.len() as u64).to_be_bytes(), key, value] {
        buffer.extend_from_slice(part);
    }
    xxh3_128(buffer)
}
