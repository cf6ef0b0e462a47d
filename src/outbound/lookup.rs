//! How names become addresses.

use futures_util::future::BoxFuture;
use std::fmt;
use std::io;
use std::net::IpAddr;

/// Looks up names.
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// A name's addresses, in the order to be tried.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own way: its hosts file, then its name servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}
