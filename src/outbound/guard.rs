//! Which addresses may be connected to: public ones, and private ones only where a setting lets them.
//!
//! Two halves, both needed. [`Guard::check_url`] looks at the URL, because an address written out never reaches a
//! resolver. [`Guard`] as a resolver answers vetted addresses alone, so that the socket connects to what was vetted and
//! no second lookup can answer otherwise.

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;
use url::{Host, Url};

/// Why a URL or an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Neither http nor https.
    #[error("the scheme {0} is not http or https")]
    Scheme(String),
    /// The URL carries a user name or a password.
    #[error("the URL carries a user name or a password: leave them out")]
    UserInfo,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The address is private, or otherwise not public.
    #[error("{0} is not a public address; whoever runs this server may allow it by its CIDR")]
    Address(IpAddr),
    /// None of a name's addresses may be reached.
    #[error("{0} resolves to no public address; whoever runs this server may allow its address by CIDR")]
    Name(String),
}

/// Lets public addresses be reached, and those of an allow-list. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Arc<[IpNet]>,
}

impl Guard {
    /// A guard that also lets these networks be reached.
    pub fn new(allow: impl Into<Arc<[IpNet]>>) -> Self {
        Guard { allow: allow.into() }
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
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        // The url crate has brought 0x7f.1, 2130706433 and octal forms into dotted quads by now.
        let address = match url.host().ok_or(Refused::NoHost)? {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        if self.permits(address) { Ok(()) } else { Err(Refused::Address(address)) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let vetted: Vec<SocketAddr> = found.into_iter().filter(|found| guard.permits(found.ip())).collect();
            if vetted.is_empty() {
                return Err(Refused::Name(name.as_str().to_owned()).into());
            }
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), compatible, and NAT64's well-known prefix
/// (RFC 6052).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = v6.segments();
    let [.., a, b, c, d] = v6.octets();
    let is_mapped = segments[..5] == [0; 5] && segments[5] == 0xffff;
    let is_compatible = segments[..6] == [0; 6] && segments[6] != 0;
    let is_nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    (is_mapped || is_compatible || is_nat64).then(|| Ipv4Addr::new(a, b, c, d))
}

/// By IANA's registry of special-purpose IPv4 addresses.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local() // holds the clouds' metadata address
        || v4.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && b & 0xc0 == 64) // carriers' NAT
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && b & 0xfe == 18); // benchmarks
    !is_special
}

/// By IANA's registry of special-purpose IPv6 addresses: global unicast is 2000::/3, less what is set aside in it. That
/// leaves out loopback, unique local, link-local, multicast and NAT64's local prefix.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    let is_set_aside = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) // protocol assignments, Teredo among them; documentation
        || a == 0x2002 // 6to4: leads to whatever IPv4 address it names
        || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !is_set_aside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, url: &str) -> Result<(), Refused> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_however_they_are_written() {
        let guard = Guard::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::7f00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:808:808::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[100::1]",
            "[3fff::1]",
        ] {
            assert!(matches!(check(&guard, &format!("http://{host}/")), Err(Refused::Address(_))), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        let guard = Guard::default();
        for host in [
            "8.8.8.8",
            "100.63.0.1",
            "172.32.0.1",
            "[2606:4700::1111]",
            "[64:ff9b::808:808]",
            "example.com",
            "localhost",
        ] {
            assert_eq!(check(&guard, &format!("https://{host}/hook")), Ok(()), "{host}");
        }
    }

    #[test]
    fn the_allow_list_opens_its_networks_and_no_other() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse::<IpNet>().unwrap(), "fd00::/8".parse().unwrap()]);
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[fd00::1]"] {
            assert_eq!(check(&guard, &format!("http://{host}/")), Ok(()), "{host}");
        }
        for host in ["10.0.0.1", "[::1]", "[fc00::1]"] {
            assert!(check(&guard, &format!("http://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn other_schemes_and_passwords_in_urls_are_refused() {
        let guard = Guard::default();
        assert_eq!(check(&guard, "ftp://example.com/"), Err(Refused::Scheme("ftp".to_owned())));
        assert_eq!(check(&guard, "file:///etc/passwd"), Err(Refused::Scheme("file".to_owned())));
        assert_eq!(check(&guard, "https://user@example.com/"), Err(Refused::UserInfo));
        assert_eq!(check(&guard, "https://:secret@example.com/"), Err(Refused::UserInfo));
    }

    #[tokio::test]
    async fn a_name_gives_vetted_addresses_alone() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = Guard::default().resolve(name()).await.err().unwrap();
        assert_eq!(refused.downcast_ref(), Some(&Refused::Name("localhost".to_owned())));
        let allowed = Guard::new(vec!["127.0.0.0/8".parse::<IpNet>().unwrap()]).resolve(name()).await.unwrap();
        assert!(allowed.into_iter().all(|found| found.ip() == Ipv4Addr::LOCALHOST));
    }
}
