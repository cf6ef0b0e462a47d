//! Signing secrets at rest: the newest of a workspace or webhook, and those it replaced for as long as they sign too.

use crate::secrets::Sealed;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Secrets that sign, each sealed for its owner: `workspace/<id>` or `webhook/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecrets {
    /// The newest.
    pub secret: Sealed,
    /// Since when it signs; none where it is older than this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_since: Option<DateTime<Utc>>,
    /// Those that were replaced, newest first. Some may have ended since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_secrets: Vec<FormerSecret>,
}

/// A secret that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerSecret {
    /// The secret.
    pub secret: Sealed,
    /// Since when it signs; none where it is older than this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Until when it signs, that instant not included.
    pub until: DateTime<Utc>,
}

impl SigningSecrets {
    /// One secret alone.
    pub fn only(secret: Sealed, since: Option<DateTime<Utc>>) -> Self {
        SigningSecrets { secret, secret_since: since, former_secrets: Vec::new() }
    }

    /// What was replaced and signs still, newest first.
    pub fn former_at(&self, now: DateTime<Utc>) -> impl Iterator<Item = &FormerSecret> {
        self.former_secrets.iter().filter(move |former| former.until > now)
    }

    /// When the first of those that sign at `now` ends; none where none will.
    pub fn changes_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.former_at(now).map(|former| former.until).min()
    }

    /// Puts `secret` in front at `now`. The one that it replaces signs on until `until`, older ones until their own
    /// time. What has ended is forgotten.
    #[must_use]
    pub fn replaced(&self, secret: Sealed, now: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let former = FormerSecret { secret: self.secret.clone(), since: self.secret_since, until };
        let former_secrets = std::iter::once(&former).chain(&self.former_secrets);
        let former_secrets = former_secrets.filter(|former| former.until > now).cloned().collect();
        SigningSecrets { secret, secret_since: Some(now), former_secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::secrets::Vault;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_replaced_secret_signs_until_its_time() {
        let vault = Vault::new(&[7; 32], Random::seeded(1));
        let seal = |plain: &[u8]| vault.seal("workspace/1", plain).unwrap();
        let (a, b, c) = (seal(b"a"), seal(b"b"), seal(b"c"));
        let first = SigningSecrets::only(a.clone(), None);
        let second = first.replaced(b.clone(), at(10), at(100));
        let third = second.replaced(c.clone(), at(20), at(50));
        let live = |second| third.former_at(at(second)).map(|former| former.secret.clone()).collect::<Vec<_>>();
        assert_eq!((&third.secret, third.secret_since), (&c, Some(at(20))));
        assert_eq!(live(49), [b.clone(), a.clone()]);
        assert_eq!(live(50), [a]);
        assert!(live(100).is_empty());
        assert_eq!([20, 50, 100].map(|second| third.changes_at(at(second))), [Some(at(50)), Some(at(100)), None]);
        assert_eq!(third.replaced(b, at(70), at(70)).former_secrets.len(), 1, "what has ended is forgotten");
    }
}
