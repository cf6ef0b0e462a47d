//! Which addresses may be connected to: public ones, and private ones only where a setting lets them.
//!
//! Two halves, both needed. [`Guard::check_url`] looks at the URL, because an address written out never reaches a
//! resolver. [`Guard`] as a resolver answers vetted addresses alone, so that the socket connects to what was vetted and
//! no second lookup can answer otherwise. A connection that is used again was vetted when it was made; a new one is
//! looked up and vetted anew.

use super::addresses::{embedded, is_public_v4, is_public_v6};
use super::lookup::{Lookup, SystemLookup};
use super::ports::Ports;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;
use url::{Host, Url};

#[cfg(test)]
mod tests;

/// Why a URL or an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Neither http nor https.
    #[error("the scheme {0} is not http or https")]
    Scheme(String),
    /// It is http where only https may be.
    #[error("the scheme is http, and whoever runs this server lets https alone; use https")]
    Plain,
    /// The URL carries a user name or a password.
    #[error("the URL carries a user name or a password: leave them out")]
    UserInfo,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The port is not one of those that may be reached.
    #[error("port {0} may not be reached; use another, such as 443")]
    Port(u16),
    /// The address is private, or otherwise not public.
    #[error("{0} is not a public address; whoever runs this server may allow it by its CIDR")]
    Address(IpAddr),
    /// None of a name's addresses may be reached.
    #[error("{0} resolves to no public address; whoever runs this server may allow its address by CIDR")]
    Name(String),
}

impl Refused {
    /// What a setting that lets it through is called, behind `ANYHOOK_DESTINATIONS_`; none where there is none.
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Refused::Address(_) | Refused::Name(_) => Some("ALLOW"),
            Refused::Port(_) => Some("PORTS"),
            Refused::Plain => Some("HTTPS_ONLY"),
            Refused::Scheme(_) | Refused::UserInfo | Refused::NoHost => None,
        }
    }
}

/// Lets public addresses be reached, and those of an allow-list. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Arc<[IpNet]>,
    ports: Ports,
    https_only: bool,
    lookup: Arc<dyn Lookup>,
}

impl Default for Guard {
    fn default() -> Self {
        Guard::new([])
    }
}

impl Guard {
    /// A guard that also lets these networks be reached.
    pub fn new(allow: impl Into<Arc<[IpNet]>>) -> Self {
        Guard { allow: allow.into(), ports: Ports::default(), https_only: false, lookup: Arc::new(SystemLookup) }
    }

    /// The same, with these ports alone.
    #[must_use]
    pub fn with_ports(self, ports: Ports) -> Self {
        Guard { ports, ..self }
    }

    /// The same, and https alone if so.
    #[must_use]
    pub fn with_https_only(self, https_only: bool) -> Self {
        Guard { https_only, ..self }
    }

    /// The same, with another way to look up names: for tests.
    #[must_use]
    pub fn with_lookup(self, lookup: Arc<dyn Lookup>) -> Self {
        Guard { lookup, ..self }
    }

    /// Whether an address may be reached. IPv4 addresses within IPv6 ones count as what they stand for.
    pub fn permits(&self, address: IpAddr) -> bool {
        let meant = match address {
            IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        let is_allowed = self.allow.iter().any(|network| network.contains(&meant) || network.contains(&address));
        is_allowed
            || match meant {
                IpAddr::V4(v4) => is_public_v4(v4),
                IpAddr::V6(v6) => is_public_v6(v6),
            }
    }

    /// Checks what can be told from a URL without looking up its name.
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        match url.scheme() {
            "http" if self.https_only => return Err(Refused::Plain),
            "http" | "https" => {}
            other => return Err(Refused::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        let host = url.host().ok_or(Refused::NoHost)?;
        if let Some(port) = url.port_or_known_default().filter(|port| !self.ports.permit(*port)) {
            return Err(Refused::Port(port));
        }
        // The url crate has brought 0x7f.1, 2130706433 and octal forms into dotted quads by now.
        let address = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        if self.permits(address) { Ok(()) } else { Err(Refused::Address(address)) }
    }

    /// Looks up the name of a URL that somebody else is going to connect to: refused if all that is found here is out of
    /// bounds. Where nothing is found it is left to them, who may know more names.
    pub(super) async fn check_name(&self, url: &Url) -> Result<(), Refused> {
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        match self.lookup.lookup(name).await {
            Ok(found) if !found.is_empty() && !found.iter().any(|found| self.permits(*found)) => {
                Err(Refused::Name(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn names(&self) -> &Arc<dyn Lookup> {
        &self.lookup
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let mut vetted = guard.lookup.lookup(name.as_str()).await?;
            vetted.retain(|found| guard.permits(*found));
            if vetted.is_empty() {
                return Err(Refused::Name(name.as_str().to_owned()).into());
            }
            Ok(Box::new(vetted.into_iter().map(|found| SocketAddr::from((found, 0)))) as Addrs)
        })
    }
}
