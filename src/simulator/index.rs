//! A sorted set of keys that knows ranks: how a listing of 200,000 records finds its page, its offset and its total
//! without walking there.

/// Keys in one chunk at most. Inserting moves at most this many; ranks sum as many lengths as there are chunks.
const CHUNK_KEYS: usize = 1_024;

/// What records are sorted by: a time in milliseconds (or nothing), then the record's number.
pub(super) type Key = (i64, u64);

/// Sorted keys in chunks. Keys mostly arrive in order, so inserting mostly appends.
#[derive(Debug, Default)]
pub(super) struct Index {
    chunks: Vec<Vec<Key>>,
    len: usize,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, key: Key) {
        let at = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(at) else { return self.append(key) };
        if let Err(place) = chunk.binary_search(&key) {
            chunk.insert(place, key);
            self.len += 1;
            if chunk.len() > CHUNK_KEYS {
                let rest = chunk.split_off(CHUNK_KEYS / 2);
                self.chunks.insert(at + 1, rest);
            }
        }
    }

    fn append(&mut self, key: Key) {
        self.len += 1;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_KEYS => last.push(key),
            _ => self.chunks.push(vec![key]),
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        let at = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if let Ok(place) = chunk.binary_search(&key) {
            chunk.remove(place);
            self.len -= 1;
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// How many keys are less than this one.
    pub(super) fn rank(&self, key: Key) -> usize {
        let at = self.chunk_of(key);
        let before: usize = self.chunks[..at].iter().map(Vec::len).sum();
        before + self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|k| *k < key))
    }

    /// The key with this many before it.
    pub(super) fn key_at(&self, rank: usize) -> Option<Key> {
        self.from(rank).next()
    }

    /// Keys from this rank on, ascending.
    pub(super) fn from(&self, rank: usize) -> impl Iterator<Item = Key> + '_ {
        let mut skip = rank;
        let mut at = 0;
        while let Some(chunk) = self.chunks.get(at)
            && skip >= chunk.len()
        {
            skip -= chunk.len();
            at += 1;
        }
        let head = self.chunks.get(at).map_or(&[][..], |chunk| &chunk[skip..]);
        let tail = self.chunks.get(at + 1..).unwrap_or_default();
        head.iter().chain(tail.iter().flatten()).copied()
    }

    /// The keys of these ranks, descending.
    pub(super) fn range_descending(&self, from: usize, to: usize) -> Vec<Key> {
        let mut keys: Vec<Key> = self.from(from).take(to.saturating_sub(from)).collect();
        keys.reverse();
        keys
    }

    /// The first chunk whose last key is not less than this one.
    fn chunk_of(&self, key: Key) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| *last < key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_a_sorted_set_whatever_comes_and_goes() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut index, mut model) = (Index::default(), BTreeSet::new());
        for round in 0..20_000u64 {
            let key = (random.i64(0..500), random.u64(0..20));
            if round % 3 == 2 {
                index.remove(key);
                model.remove(&key);
            } else {
                index.insert(key);
                model.insert(key);
            }
        }
        assert_eq!(index.len(), model.len());
        assert_eq!(index.from(0).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        for probe in [(0, 0), (250, 10), (499, 19), (600, 0)] {
            assert_eq!(index.rank(probe), model.range(..probe).count());
        }
        assert_eq!(index.key_at(1_000), model.iter().nth(1_000).copied());
        assert_eq!(index.key_at(model.len()), None);
    }
}
