//! The way out through a proxy.

use super::guard::Guard;
use super::lookup::Lookup;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use url::Url;

/// An HTTP proxy that all requests go through: by CONNECT where they are https (RFC 9110, section 9.3.6), else in the
/// absolute form. Its user name and password are not shown.
///
/// What is connected to is the proxy's choice, and so is what a name means: the guard looks at URLs, and at what names
/// mean here, but the last word on an address has the proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct EgressProxy(Url);

impl EgressProxy {
    /// A proxy by its address; none unless it is an http or https URL with nothing behind its port.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        (matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain).then_some(EgressProxy(url))
    }

    pub(super) fn proxy(&self) -> reqwest::Result<reqwest::Proxy> {
        reqwest::Proxy::all(self.0.clone())
    }

    /// Looks up the proxy's own name without vetting it: whoever runs this server chose it.
    pub(super) fn resolver(&self, guard: &Guard) -> ProxyLookup {
        let host = self.0.host_str().unwrap_or_default().to_owned();
        ProxyLookup { host, names: guard.names().clone(), guard: guard.clone() }
    }
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EgressProxy({}:{:?})", self.0.host_str().unwrap_or_default(), self.0.port_or_known_default())
    }
}

/// Vets every name but the proxy's.
#[derive(Debug)]
pub(super) struct ProxyLookup {
    host: String,
    names: Arc<dyn Lookup>,
    guard: Guard,
}

impl Resolve for ProxyLookup {
    fn resolve(&self, name: Name) -> Resolving {
        if name.as_str() != self.host {
            return self.guard.resolve(name);
        }
        let found = self.names.lookup(name.as_str());
        Box::pin(async move {
            let found = found.await?;
            Ok(Box::new(found.into_iter().map(|found| SocketAddr::from((found, 0)))) as Addrs)
        })
    }
}
