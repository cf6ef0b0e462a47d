//! Where requests go, when names change their meaning.

use crate::{hang, peer, read_request, request};
use anyhook::outbound::guard::Guard;
use anyhook::outbound::{HttpClient, Lookup, Outbound, OutboundError, Ports};
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// Answers one lookup after the other as it is told; nothing is found once it has no more.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    pub(crate) fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|found| found.iter().map(|text| text.parse().unwrap()).collect()).collect();
        Arc::new(Names { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for Names {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// Answers every request of a connection but the last with 200; that one's answer closes it. Counts connections.
async fn closing_after(address: &str, requests: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            for number in 1..=requests {
                read_request(&mut stream).await;
                let more = if number < requests { "" } else { "connection: close\r\n" };
                let answer = format!("HTTP/1.1 200 OK\r\n{more}content-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (address, connections)
}

#[tokio::test]
async fn a_name_that_comes_to_mean_a_private_address_is_not_followed() {
    let (address, connections) = closing_after("127.0.0.1:0", 3).await;
    let (_, reached) = closing_after(&format!("127.0.0.2:{}", address.port()), 3).await;
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"]]);
    // One address of this machine stands for the public ones.
    let guard = Guard::new(["127.0.0.1/32".parse().unwrap()]).with_lookup(names.clone());
    let client = HttpClient::destinations(guard).unwrap();
    let url = format!("http://receiver.example:{}/hook", address.port());
    for _ in 0..3 {
        assert_eq!(client.send(request(&url)).await.unwrap().status, 200);
    }
    assert_eq!((connections.load(Ordering::SeqCst), names.asked()), (1, 1), "one connection serves them");

    let error = client.send(request(&url)).await.unwrap_err();
    let told = "receiver.example resolves to no public address";
    assert!(matches!(&error, OutboundError::Forbidden(why) if why.starts_with(told)), "{error}");
    assert_eq!(names.asked(), 2, "a new connection is looked up anew");
    assert_eq!(client.send(request(&url)).await.unwrap().status, 200, "of several addresses those are left out");
    assert_eq!((connections.load(Ordering::SeqCst), reached.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test]
async fn names_for_this_machine_and_the_metadata_server_are_refused_like_their_addresses() {
    for found in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "100.100.100.200", "fd00:ec2::254"] {
        let names = Names::answering(&[&[found]]);
        let client = HttpClient::vendors(Guard::default().with_lookup(names)).unwrap();
        let error = client.send(request("http://metadata.example/latest/meta-data/")).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden(_)), "{found}: {error}");
    }
}

#[tokio::test]
async fn ports_and_schemes_that_are_not_open_are_not_connected_to() {
    let (url, reached) = peer(hang).await;
    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let local = || Guard::new(["127.0.0.0/8".parse().unwrap()]);
    let closed = [
        (local().with_ports(Ports::new(vec![443..=443])), format!("port {port} may not be reached")),
        (local().with_https_only(true), "use https".to_owned()),
    ];
    for (guard, told) in closed {
        let error = HttpClient::destinations(guard).unwrap().send(request(&url)).await.unwrap_err();
        assert!(matches!(&error, OutboundError::Forbidden(why) if why.contains(&told)), "{error}");
    }
    let error = HttpClient::vendors(local()).unwrap().send(request("http://127.0.0.1:25/")).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden(_)), "{error}");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}
