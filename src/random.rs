//! The one source of randomness: jitter, ids and secrets. Seeded in tests, so that a run can be repeated.

use std::sync::{Arc, Mutex, PoisonError};

/// Gives random numbers and bytes.
#[derive(Debug, Clone, Default)]
pub struct Random(Option<Arc<Mutex<fastrand::Rng>>>);

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

impl Random {
    /// The operating system's randomness for bytes, a seed from there for jitter.
    pub fn system() -> Self {
        Random(None)
    }

    /// The same numbers for the same seed. For tests alone: its secrets can be guessed.
    pub fn seeded(seed: u64) -> Self {
        Random(Some(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)))))
    }

    /// Fills `out` with bytes fit for secrets.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        match &self.0 {
            None => getrandom::fill(out).map_err(|_| NoEntropy),
            Some(rng) => {
                rng.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
                Ok(())
            }
        }
    }

    /// A number from 0 up to and including `max`; not for secrets.
    pub fn up_to(&self, max: u64) -> u64 {
        match &self.0 {
            None => fastrand::u64(..=max),
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).u64(..=max),
        }
    }
}
