//! What leaves the process: over real sockets, against peers that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod egress;
mod reach;

use anyhook::outbound::guard::Guard;
use anyhook::outbound::{HttpClient, Outbound, OutboundError, OutboundRequest};
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const LIMIT: usize = 4096;

fn local() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

fn request(url: &str) -> OutboundRequest {
    OutboundRequest {
        method: Method::POST,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: vec![Bytes::from_static(b"{}")],
        deadline: Duration::from_secs(5),
        body_bytes_max: LIMIT,
    }
}

/// Reads a request whole, by its content-length.
async fn read_request(peer: &mut TcpStream) -> (String, Vec<u8>) {
    let mut seen = Vec::new();
    let mut buffer = vec![0; 65536];
    loop {
        let count = peer.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the client hung up");
        seen.extend_from_slice(&buffer[..count]);
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(seen[..end].to_vec()).unwrap().to_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if seen.len() >= end + 4 + length {
            return (head, seen[end + 4..].to_vec());
        }
    }
}

/// Listens, and answers every connection's first request by `answer`. Counts connections.
async fn peer<F, A>(answer: F) -> (String, Arc<AtomicUsize>)
where
    F: Fn(TcpStream, String, Vec<u8>) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let (head, body) = read_request(&mut stream).await;
                answer(stream, head, body).await;
            });
        }
    });
    (url, count)
}

async fn hang(_stream: TcpStream, _head: String, _body: Vec<u8>) {
    std::future::pending().await
}

#[tokio::test]
async fn a_peer_that_hangs_costs_the_deadline_and_no_more() {
    let (url, _) = peer(hang).await;
    let client = HttpClient::destinations(local()).unwrap();
    let deadline = Duration::from_millis(200);
    let began = Instant::now();
    let error = client.send(OutboundRequest { deadline, ..request(&url) }).await.unwrap_err();
    assert_eq!(error, OutboundError::FirstByte(deadline));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_body_that_drips_past_the_deadline_is_no_answer() {
    let (url, _) = peer(|mut stream, _, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let client = HttpClient::destinations(local()).unwrap();
    let deadline = Duration::from_millis(300);
    let error = client.send(OutboundRequest { deadline, ..request(&url) }).await.unwrap_err();
    assert_eq!(error, OutboundError::Deadline(deadline));
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_cap() {
    let (url, _) = peer(|mut stream, _, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 1000]).await.is_ok() {}
    })
    .await;
    let answer = HttpClient::destinations(local()).unwrap().send(request(&url)).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.is_cut), (200, LIMIT, true));
}

#[tokio::test]
async fn a_compressed_bomb_is_read_to_the_cap() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = Arc::new(bomb.finish().unwrap());
    let (url, _) = peer(move |mut stream, head, _| {
        let bomb = bomb.clone();
        async move {
            assert!(head.contains("accept-encoding: gzip"), "{head}");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            drop(stream.write_all(&bomb).await);
        }
    })
    .await;
    let answer = HttpClient::vendors(local()).unwrap().send(request(&url)).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.is_cut), (200, LIMIT, true));
}

/// Destinations are asked for no compression, and what is compressed all the same is not unpacked.
#[tokio::test]
async fn a_bomb_from_a_destination_is_bytes_like_any_other() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = Arc::new(bomb.finish().unwrap());
    let sent = bomb.clone();
    let (url, _) = peer(move |mut stream, head, _| {
        let bomb = bomb.clone();
        async move {
            assert!(!head.contains("accept-encoding"), "{head}");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            drop(stream.write_all(&bomb).await);
        }
    })
    .await;
    let answer = HttpClient::destinations(local()).unwrap().send(request(&url)).await.unwrap();
    assert_eq!((answer.status, answer.is_cut, &answer.body[..]), (200, true, &sent[..LIMIT]));
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let (target, followed) = peer(hang).await;
    let (url, _) = peer(move |mut stream, _, _| {
        let target = target.clone();
        async move {
            let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    })
    .await;
    let answer = HttpClient::destinations(local()).unwrap().send(request(&url)).await.unwrap();
    assert_eq!((answer.status, followed.load(Ordering::SeqCst)), (307, 0));
}

#[tokio::test]
async fn private_addresses_are_refused_before_anything_is_sent() {
    let (url, reached) = peer(hang).await;
    let port = Url::parse(&url).unwrap().port().unwrap();
    let client = HttpClient::destinations(Guard::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        let error = client.send(request(&format!("http://{host}:{port}/"))).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden(_)), "{host}: {error}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refused_connection_and_a_broken_answer_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let client = HttpClient::destinations(local()).unwrap();
    let error = client.send(request(&format!("http://{free}/?token=secret"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error}");
    assert!(!error.to_string().contains("secret"));

    let (url, _) = peer(|mut stream, _, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    })
    .await;
    let error = client.send(request(&url)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Broken(_)), "{error}");
}

#[tokio::test]
async fn parts_arrive_as_one_body_of_known_length() {
    let (url, _) = peer(|mut stream, head, body| async move {
        assert!(!head.contains("transfer-encoding"), "{head}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let client = HttpClient::destinations(local()).unwrap();
    for size in [0, 1, 20_000] {
        let parts =
            vec![Bytes::from_static(b"<"), Bytes::from(vec![b'x'; size]), Bytes::new(), Bytes::from_static(b">")];
        let sent = OutboundRequest { body: parts.clone(), body_bytes_max: 1 << 20, ..request(&url) };
        let answer = client.send(sent).await.unwrap();
        assert_eq!(answer.body, parts.concat());
    }
}
