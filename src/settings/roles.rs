//! What a node does, where several share a store and each need not do everything.

use crate::store::Duty;
use std::collections::BTreeSet;
use std::fmt;
use toml::Value;

const EXPECTED: &str = "a list of poll, deliver, api and ingress, at least one of them";

/// A part of what a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Polls feeds, lists history, registers webhooks at vendors.
    Poll,
    /// Delivers to subscribers.
    Deliver,
    /// Serves the API.
    Api,
    /// Takes what vendors push.
    Ingress,
}

impl Role {
    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Poll => Duty::Poll.as_str(),
            Role::Deliver => Duty::Deliver.as_str(),
            Role::Api => "api",
            Role::Ingress => "ingress",
        }
    }
}

/// What a node does: everything, unless set otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    const ALL: [Role; 4] = [Role::Poll, Role::Deliver, Role::Api, Role::Ingress];

    /// These alone.
    pub fn new(roles: &[Role]) -> Self {
        Roles(roles.iter().copied().collect())
    }

    /// True if it does this.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// What it takes shards for.
    pub fn duties(&self) -> Vec<Duty> {
        let role = |duty: &Duty| match duty {
            Duty::Poll => self.has(Role::Poll),
            Duty::Deliver => self.has(Role::Deliver),
        };
        Duty::ALL.into_iter().filter(role).collect()
    }

    /// Reads a list of names. The error is what it must be.
    pub(super) fn parse(value: &Value) -> Result<Self, &'static str> {
        let named = |item: &Value| {
            let name = item.as_str()?.trim();
            Roles::ALL.into_iter().find(|role| role.as_str() == name)
        };
        let roles: Option<BTreeSet<_>> = value.as_array().ok_or(EXPECTED)?.iter().map(named).collect();
        roles.filter(|roles| !roles.is_empty()).map(Roles).ok_or(EXPECTED)
    }
}

impl Default for Roles {
    fn default() -> Self {
        Roles::new(&Roles::ALL)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
