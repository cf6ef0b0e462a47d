use super::*;
use std::net::Ipv4Addr;

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
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "0x7f000001",
        "0251.0376.0251.0376",
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
        "100.100.100.200",
        "168.63.129.16",
        "192.88.99.1",
        "[::ffff:0:127.0.0.1]",
        "[0:0:0:0:0:ffff:10.0.0.1]",
        "[::ffff:168.63.129.16]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1:ffff:ffff:ffff:808:808]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2606:4700::5efe:10.0.0.1]",
        "[2606:4700::200:5efe:169.254.169.254]",
        "[fe80::5efe:8.8.8.8]",
        "[5f00::1]",
        "[ff0e::1]",
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
        "[2606:4700::5efe:8.8.8.8]",
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

#[test]
fn ports_of_other_protocols_and_http_may_be_closed() {
    assert_eq!(check(&Guard::default(), "http://example.com:25/"), Err(Refused::Port(25)));
    let guard = Guard::default().with_ports(Ports::new(vec![443..=443])).with_https_only(true);
    assert_eq!(check(&guard, "https://example.com/hook"), Ok(()));
    assert_eq!(check(&guard, "https://example.com:8443/hook"), Err(Refused::Port(8443)));
    assert_eq!(check(&guard, "http://example.com:443/hook"), Err(Refused::Plain));
    // No allow-list opens a port.
    let guard = Guard::new(vec!["10.0.0.0/8".parse::<IpNet>().unwrap()]);
    assert_eq!(check(&guard, "http://10.0.0.1:22/"), Err(Refused::Port(22)));
}
