//! Which addresses are public.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Azure's host answers its virtual machines here, though the address is a public one.
/// <https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), compatible, and NAT64's well-known prefix
/// (RFC 6052).
pub(super) fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = v6.segments();
    let [.., a, b, c, d] = v6.octets();
    let is_mapped = segments[..5] == [0; 5] && segments[5] == 0xffff;
    let is_compatible = segments[..6] == [0; 6] && segments[6] != 0;
    let is_nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    (is_mapped || is_compatible || is_nat64).then(|| Ipv4Addr::new(a, b, c, d))
}

/// By IANA's registry of special-purpose IPv4 addresses.
pub(super) fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_special = v4 == AZURE_HOST
        || v4.is_private()
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
pub(super) fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    let is_set_aside = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) // protocol assignments, Teredo among them; documentation
        || a == 0x2002 // 6to4: leads to whatever IPv4 address it names
        || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !is_set_aside && isatap(v6).is_none_or(is_public_v4)
}

/// The IPv4 address that an ISATAP interface tunnels to, by its identifier (RFC 5214, section 6.1).
fn isatap(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = v6.segments();
    let [.., a, b, c, d] = v6.octets();
    (segments[4] & !0x0200 == 0 && segments[5] == 0x5efe).then(|| Ipv4Addr::new(a, b, c, d))
}
