//! Which ports may be reached.

use std::ops::RangeInclusive;
use std::sync::Arc;

/// Ports of other protocols, whose servers could take a request for something else: those that browsers refuse too.
/// <https://fetch.spec.whatwg.org/#port-blocking>
const BAD: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Ports that may be reached: those that are listed, or all but those of other protocols where none is. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports(Arc<[RangeInclusive<u16>]>);

impl Ports {
    /// These, also where they are another protocol's. With none of them it is the default.
    pub fn new(listed: impl Into<Arc<[RangeInclusive<u16>]>>) -> Self {
        Ports(listed.into())
    }

    /// Whether a port may be reached.
    pub fn permit(&self, port: u16) -> bool {
        match self.0.is_empty() {
            true => !BAD.contains(&port),
            false => self.0.iter().any(|listed| listed.contains(&port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_but_those_of_other_protocols_unless_some_are_listed() {
        let any = Ports::default();
        for port in [80, 443, 3000, 8080, 8443, 65535] {
            assert!(any.permit(port), "{port}");
        }
        for port in [0, 21, 22, 25, 53, 110, 465, 587, 6667, 10080] {
            assert!(!any.permit(port), "{port}");
        }
        assert!(BAD.is_sorted());
        let listed = Ports::new(vec![443..=443, 8000..=8999, 25..=25]);
        for (port, is_permitted) in [(443, true), (8000, true), (8999, true), (25, true), (80, false), (9000, false)] {
            assert_eq!(listed.permit(port), is_permitted, "{port}");
        }
    }
}
