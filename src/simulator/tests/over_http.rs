#![allow(clippy::disallowed_methods, reason = "the bodies here are the simulator's own and small")]

use super::*;
use axum::Router;
use axum::body::Bytes as Body;
use axum::http::HeaderMap;
use axum::routing::post;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// A vendor on a socket, and its URL.
async fn served(settings: SimulatorSettings) -> (Simulator, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let simulator = Simulator::new(settings, Clock::system());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = simulator.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    (simulator, url)
}

fn small() -> SimulatorSettings {
    SimulatorSettings { records: 30, ..Default::default() }
}

async fn fetch(url: &str) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::builder().no_proxy().build()?.get(url).bearer_auth("sandbox").send().await
}

#[tokio::test]
async fn a_listing_comes_whole_whether_compressed_or_not() {
    let (simulator, url) = served(small()).await;
    let expected = simulator.with(|vendor, now| get(vendor, "/v1/contacts", now).body);
    let answer = fetch(&format!("{url}/v1/contacts")).await.unwrap();
    assert!(answer.headers().contains_key("date") && answer.headers().contains_key("x-ratelimit-remaining"));
    assert_eq!(answer.bytes().await.unwrap(), expected);
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let request =
        |coding| plain.get(format!("{url}/v1/contacts")).bearer_auth("sandbox").header("accept-encoding", coding);
    let gzip = request("deflate, gzip").send().await.unwrap();
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert!(gzip.bytes().await.unwrap().len() < expected.len() / 2);
    assert_eq!(request("identity").send().await.unwrap().bytes().await.unwrap(), expected);
}

#[tokio::test]
async fn connections_break_as_asked() {
    let (simulator, url) = served(small()).await;
    let url = format!("{url}/v1/contacts");
    let set = |fault| simulator.with(|vendor, _| vendor.set_faults(vec![FaultRule::next(fault, 1)]).unwrap());
    set(Fault::Reset {});
    let error = fetch(&url).await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    for by in [50, -50] {
        set(Fault::WrongContentLength { by });
        let answer = fetch(&url).await.unwrap();
        let whole = simulator.with(|vendor, now| get(vendor, "/v1/contacts", now).body.len());
        assert_eq!(answer.headers()["content-length"], (whole as i64 + by).to_string().as_str());
        let body = answer.bytes().await;
        assert!(if by > 0 { body.is_err() } else { body.unwrap().len() == whole - 50 });
    }
    set(Fault::Hang {});
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(200)).build().unwrap();
    assert!(client.get(&url).bearer_auth("sandbox").send().await.unwrap_err().is_timeout());
    assert_eq!(fetch(&url).await.unwrap().status(), 200, "and then all is well again");
}

#[tokio::test]
async fn a_webhook_is_pushed_signed_and_again_until_it_is_taken() {
    let (arrived, mut arrivals) = mpsc::channel::<(HeaderMap, Body)>(8);
    let refusals = Arc::new(std::sync::atomic::AtomicU32::new(1));
    let receive = move |headers: HeaderMap, body: Body| async move {
        arrived.send((headers, body)).await.unwrap();
        let refuse = refusals.swap(0, std::sync::atomic::Ordering::SeqCst) > 0;
        axum::http::StatusCode::from_u16(if refuse { 500 } else { 200 }).unwrap()
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let hook_url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(receive))).await });

    let (simulator, _) = served(small()).await;
    let body = format!(r#"{{"url":"{hook_url}","events":["*"],"secret":"shh"}}"#);
    let id = simulator.with(|vendor, now| {
        assert_eq!(super::post(vendor, "/v1/webhooks", &body, now).status, 201);
        id_of(&super::post(vendor, "/_control/companies", "", now))
    });
    let (first_headers, first_body) = arrivals.recv().await.unwrap();
    let (headers, body) = arrivals.recv().await.unwrap();
    assert_eq!((&first_headers["x-sandbox-delivery"], &first_body), (&headers["x-sandbox-delivery"], &body));
    assert!(body.starts_with(format!(r#"{{"event":"company.created","id":"{id}""#).as_bytes()));
    let signature = headers["x-sandbox-signature"].to_str().unwrap();
    let (t, v1) = signature.split_once(",v1=").unwrap();
    assert_eq!(v1, independent_hmac("shh", &format!("{}.{}", &t[2..], String::from_utf8_lossy(&body))));
    while simulator.with(|vendor, _| vendor.stats().pushes_accepted) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_stops_when_told_though_a_request_hangs() {
    let simulator = Simulator::new(small(), Clock::system());
    simulator.with(|vendor, _| vendor.set_faults(vec![FaultRule::always(Fault::Hang {})]).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/deals", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = simulator.clone();
    let served = tokio::spawn(async move { server.serve(listener, async { drop(stopped.await) }).await });
    let hanging = tokio::spawn(async move { fetch(&url).await.map(|answer| answer.status()) });
    while simulator.with(|vendor, _| vendor.stats().requests) == 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    hanging.abort();
}

/// HMAC by its definition (RFC 2104), so that the simulator's use of the library is checked against something else.
fn independent_hmac(key: &str, text: &str) -> String {
    use sha2::{Digest, Sha256};
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.as_bytes().get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    hex::encode(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}
