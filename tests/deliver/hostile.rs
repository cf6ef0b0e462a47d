//! Endpoints that break the rules of HTTP, or stretch them: each costs its own webhook an attempt, and says why.

use crate::harness::{World, limits};
use crate::message;
use crate::peer::{OK, Peer};
use crate::receiver::Receiver;
use anyhook::limits::Limits;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{Webhook, WebhookHealth};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// No second attempt, so that the first one's error is the webhook's.
fn once() -> Limits {
    let mut limits = limits();
    limits.deliver.attempt_deadline_ms = 400;
    (limits.deliver.retry_schedule_ms, limits.deliver.quick_retry_ms) = (Vec::new(), 0);
    limits
}

async fn world(limits: Limits) -> World {
    World::with(limits, Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).await
}

async fn hang(_held: TcpStream) -> Option<TcpStream> {
    std::future::pending().await
}

async fn drip(mut stream: TcpStream, text: &'static [u8]) -> Option<TcpStream> {
    for byte in text.iter().cycle() {
        stream.write_all(&[*byte]).await.ok()?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn pour(mut stream: TcpStream, head: &'static [u8], body: &'static [u8]) -> Option<TcpStream> {
    stream.write_all(head).await.ok()?;
    loop {
        stream.write_all(body).await.ok()?;
    }
}

/// Peers that fail, with what their webhook's health says then.
async fn failing() -> Vec<(Peer, &'static str)> {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort";
    vec![
        (Peer::new(|_, stream| hang(stream)).await, "no answer began within 400 ms"),
        (Peer::new(|_, stream| drip(stream, b"HTTP/1.1 200 OK\r\nx: y\r\nx: ")).await, "no answer began within 400 ms"),
        (Peer::new(|_, stream| pour(stream, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")).await, "no answer began within"),
        (
            Peer::new(|_, mut stream| async move {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.ok()?;
                drip(stream, b"x").await
            })
            .await,
            "no whole answer within 400 ms",
        ),
        (Peer::saying(short).await, "no whole answer within 400 ms"),
        (
            Peer::new(move |_, mut stream| async move {
                stream.write_all(short).await.ok()?;
                None
            })
            .await,
            "the connection broke: ",
        ),
        (
            Peer::new(|_, mut stream| async move {
                tokio::time::sleep(Duration::from_millis(600)).await;
                stream.write_all(OK).await.ok()?;
                Some(stream)
            })
            .await,
            "no answer began within 400 ms",
        ),
        (Peer::new(|_, _| async { None }).await, "closed without an answer: "),
        (Peer::resetting().await, "Connection reset by peer"),
        (Peer::saying(b"220 mail.example ESMTP\r\n").await, "the answer is not HTTP: "),
        (Peer::saying(b"\0\x01\x02\xff\xfe garbage \r\n\r\n").await, "the answer is not HTTP: "),
        (Peer::saying(b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n").await, "the answer is not HTTP: "),
        (Peer::new(|_, stream| pour(stream, b"HTTP/1.1 200 OK\r\nx: ", &[b'y'; 16 << 10])).await, "the answer is not HTTP: "),
        (Peer::saying(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await, "the endpoint answered 101: "),
        (
            Peer::saying(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n").await,
            "answered 307: redirects are not followed",
        ),
        (Peer::saying(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").await, "answered 500: see the endpoint's own log"),
    ]
}

/// Peers that are odd, and have taken the payload all the same.
async fn odd() -> Vec<Peer> {
    vec![
        Peer::saying(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await,
        // What has been read to the cap has been read.
        Peer::new(|_, stream| pour(stream, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 1000])).await,
        Peer::new(|_, stream| {
            pour(stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"a\r\nxxxxxxxxxx\r\n")
        })
        .await,
        Peer::saying(b"HTTP/1.1 204 No Content\r\n\r\n").await,
        Peer::saying(b"HTTP/1.0 200\r\ncontent-length: 0\r\n\r\n").await,
    ]
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_words() {
    let world = world(once()).await;
    let mut webhooks: Vec<(Webhook, Peer, &str)> = Vec::new();
    for (peer, told) in failing().await {
        webhooks.push((world.subscribe(&peer.url).await, peer, told));
    }
    let feed = webhooks[0].0.feed_id;
    let began = Instant::now();
    let engine = world.start();
    world.log(feed, Found::Virtual, &["1"]).await;
    for (webhook, peer, expected) in &webhooks {
        let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
        let told = message(&state.health);
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(peer.requests() <= 1, "{expected}");
        let calls = world.calls(webhook.id).await;
        assert_eq!(calls.len(), 1, "{expected}");
        assert!(calls[0].duration_ms < 2_000, "{expected}: {} ms", calls[0].duration_ms);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "they fail beside each other");
    engine.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_odd_is_an_answer() {
    let mut limits = once();
    limits.deliver.attempt_deadline_ms = 5_000;
    let world = world(limits).await;
    let mut webhooks = Vec::new();
    for peer in odd().await {
        webhooks.push((world.subscribe(&peer.url).await, peer));
    }
    let engine = world.start();
    world.log(webhooks[0].0.feed_id, Found::Virtual, &["1"]).await;
    for (webhook, peer) in &webhooks {
        let state =
            world.until(webhook.id, |state| state.delivered == 1 || state.health != WebhookHealth::Healthy).await;
        assert_eq!((state.health, peer.requests()), (WebhookHealth::Healthy, 1), "{}", peer.url);
    }
    engine.stop().await;
}

/// Bytes behind the end that an answer gave itself are no answer to the next request.
#[tokio::test]
async fn what_follows_an_answer_answers_nothing_else() {
    let world = world(once()).await;
    let forged = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let peer = Peer::new(move |number, mut stream| async move {
        let text: &[u8] = if number == 0 { forged } else { b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n" };
        stream.write_all(text).await.ok()?;
        Some(stream)
    })
    .await;
    let webhook = world.subscribe(&peer.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.until(webhook.id, |state| state.delivered == 1).await;
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("answered 500"), "{}", message(&state.health));
    assert_eq!((peer.requests(), peer.connections(), state.delivered), (2, 2, 1));
    engine.stop().await;
}

/// The endpoint took it, but said so too late: it is sent again, and the id tells the endpoint.
#[tokio::test]
async fn an_answer_after_the_deadline_means_the_same_batch_again() {
    let mut limits = once();
    limits.deliver.retry_schedule_ms = vec![1];
    let world = world(limits).await;
    let peer = Peer::new(|number, mut stream| async move {
        if number == 0 {
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        stream.write_all(OK).await.ok()?;
        Some(stream)
    })
    .await;
    let webhook = world.subscribe(&peer.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.until(webhook.id, |state| state.delivered == 1).await;
    let ids = peer.header("webhook-id");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    engine.stop().await;
}

#[tokio::test]
async fn the_head_of_an_answer_may_have_a_limit_of_its_own() {
    let mut limits = once();
    limits.deliver.attempt_deadline_ms = 5_000;
    limits.deliver.connect_timeout_ms = 100;
    limits.deliver.first_byte_timeout_ms = 200;
    let world = world(limits).await;
    let (silent, slow) = (
        Peer::new(|_, stream| hang(stream)).await,
        // Its head is in time, and so is its end.
        Peer::new(|_, mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await.ok()?;
            tokio::time::sleep(Duration::from_millis(400)).await;
            stream.write_all(b"ok").await.ok()?;
            Some(stream)
        })
        .await,
    );
    let (first, second) = (world.subscribe(&silent.url).await, world.subscribe(&slow.url).await);
    let engine = world.start();
    world.log(first.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(first.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("no answer began within 200 ms"), "{}", message(&state.health));
    world.until(second.id, |state| state.delivered == 1).await;
    engine.stop().await;
}

/// A peer whose queue of connections is full answers no more of them.
#[tokio::test]
async fn a_connection_that_does_not_come_about_has_its_own_words() {
    let mut limits = once();
    (limits.deliver.attempt_deadline_ms, limits.deliver.connect_timeout_ms) = (5_000, 300);
    let world = world(limits).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let (webhook, quick) = (world.subscribe(&format!("http://{address}/hook")).await, Receiver::new().await);
    let other = world.subscribe(&quick.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.until(other.id, |state| state.delivered == 1).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("no connection within 300 ms"), "{}", message(&state.health));
    engine.stop().await;
}
