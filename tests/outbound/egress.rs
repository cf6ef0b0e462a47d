//! The way out through a proxy.

use crate::reach::Names;
use crate::{peer, request};
use anyhook::limits::DeliverLimits;
use anyhook::outbound::guard::Guard;
use anyhook::outbound::{ClientOptions, EgressProxy, HttpClient, Outbound, OutboundError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;

/// A proxy that keeps the heads of what it is asked for, in lower case, and answers all of it so.
async fn proxy(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    let (url, connections) = peer(move |mut stream, head, _| {
        kept.lock().unwrap().push(head);
        async move { stream.write_all(answer.as_bytes()).await.unwrap() }
    })
    .await;
    (url.trim_end_matches("/hook").to_owned(), heads, connections)
}

fn client(proxy: &str, names: Arc<Names>) -> HttpClient {
    let options = ClientOptions::for_destinations(&DeliverLimits::default());
    let options = options.through(Some(EgressProxy::parse(proxy).unwrap()));
    // The guard allows no private address, the proxy's own among them.
    HttpClient::new(Guard::default().with_lookup(names), options).unwrap()
}

#[tokio::test]
async fn requests_go_through_it_with_its_credentials() {
    let (url, heads, _) = proxy("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let with_user = url.replace("http://", "http://user:pass@");
    let names = Names::answering(&[&["8.8.8.8"]]);
    let client = client(&with_user, names.clone());
    assert_eq!(client.send(request("http://receiver.example/hook?a=b")).await.unwrap().status, 204);
    // A name that only the proxy knows is left to it.
    assert_eq!(client.send(request("http://inside.example/hook")).await.unwrap().status, 204);
    let error = client.send(request("https://receiver.example/hook")).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_) | OutboundError::Closed(_)), "{error}");
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("post http://receiver.example/hook?a=b http/1.1"), "{heads:?}");
    assert!(heads[1].starts_with("post http://inside.example/hook http/1.1"), "{heads:?}");
    assert!(heads[2].starts_with("connect receiver.example:443 http/1.1"), "{heads:?}");
    let credentials = "proxy-authorization: basic dxnlcjpwyxnz"; // in lower case
    assert!(heads.iter().all(|head| head.contains(credentials)), "{heads:?}");
}

#[tokio::test]
async fn what_can_be_told_here_is_refused_before_it_is_asked() {
    let (url, _, connections) = proxy("HTTP/1.1 204 No Content\r\n\r\n").await;
    let client = client(&url, Names::answering(&[&["169.254.169.254"], &["10.0.0.1", "::1"]]));
    for url in ["http://169.254.169.254/", "https://[::1]/", "http://receiver.example/", "https://receiver.example/"] {
        let error = client.send(request(url)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden(_)), "{url}: {error}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told() {
    let (url, ..) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let error = client(&url, Names::answering(&[])).send(request("https://receiver.example/")).await.unwrap_err();
    assert!(matches!(&error, OutboundError::Connect(why) if why.contains("tunnel")), "{error}");
}
