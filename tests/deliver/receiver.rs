//! A receiver: an endpoint that keeps what it gets and answers as it is told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// One attempt, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Deserialize)]
struct Shown {
    data: Vec<ShownObject>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ShownObject {
    id: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The type and the ids of its objects: `VIRTUAL 1 2`.
    pub(crate) fn shown(&self) -> String {
        let body: Shown = serde_json::from_slice(&self.body).unwrap();
        let ids = body.data.iter().map(|object| object.id.as_str());
        std::iter::once(body.kind.as_str()).chain(ids).collect::<Vec<_>>().join(" ")
    }
}

/// How it answers the n-th attempt, from zero.
pub(crate) type Script = Box<dyn Fn(usize) -> Response + Send + Sync>;

pub(crate) struct Receiver {
    pub(crate) url: String,
    seen: watch::Receiver<Vec<Received>>,
    script: Arc<Mutex<Script>>,
    gate: Arc<Semaphore>,
}

struct Inner {
    seen: watch::Sender<Vec<Received>>,
    script: Arc<Mutex<Script>>,
    gate: Arc<Semaphore>,
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut number = 0;
    inner.seen.send_modify(|seen| {
        number = seen.len();
        seen.push(Received { headers, body });
    });
    drop(inner.gate.acquire().await.unwrap());
    let answer = inner.script.lock().unwrap();
    answer(number)
}

impl Receiver {
    /// Answers 200.
    pub(crate) async fn new() -> Self {
        Self::scripted(|_| status(200)).await
    }

    pub(crate) async fn scripted(script: impl Fn(usize) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        let (sender, seen) = watch::channel(Vec::new());
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2));
        let inner = Arc::new(Inner { seen: sender, script: script.clone(), gate: gate.clone() });
        let app = Router::new().fallback(take).with_state(inner);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Receiver { url, seen, script, gate }
    }

    /// Answers so from now on.
    pub(crate) fn answer(&self, script: impl Fn(usize) -> Response + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Leaves attempts without an answer until it is opened again.
    pub(crate) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(1000);
    }

    pub(crate) fn seen(&self) -> Vec<Received> {
        self.seen.borrow().clone()
    }

    pub(crate) fn shown(&self) -> Vec<String> {
        self.seen().iter().map(Received::shown).collect()
    }

    /// Waits until it has seen this many attempts.
    pub(crate) async fn until(&self, count: usize) -> Vec<Received> {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(|seen| seen.len() >= count)).await;
        waited.unwrap_or_else(|_| panic!("{count} attempts come; there were {:?}", self.shown())).unwrap().clone()
    }
}
