//! Many hosts: listeners on ports of this machine's loopback addresses, each an endpoint of its own manner. They speak
//! just enough HTTP/1.1 to take a payload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Long enough that attempts at the same time are many.
const REFUSES_AFTER: Duration = Duration::from_millis(20);

/// How they answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Not at all, until told to.
    Hangs,
    /// 200 after this time.
    Takes(Duration),
    /// 200 at once, but 500 after a while where the path says so.
    RefusesSome,
}

/// The hosts.
pub(crate) struct Hosts {
    urls: Vec<String>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    attempts: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
    answers: AtomicBool,
    changed: Notify,
}

impl Hosts {
    pub(crate) async fn new(count: usize, manner: Manner) -> Self {
        let state = Arc::new(State::default());
        let mut urls = Vec::new();
        for index in 0..count {
            let listener = TcpListener::bind(format!("127.0.0.{}:0", 2 + index % 200)).await.unwrap();
            urls.push(format!("http://{}/hook", listener.local_addr().unwrap()));
            let state = state.clone();
            tokio::spawn(async move {
                loop {
                    let Ok((socket, _)) = listener.accept().await else { continue };
                    tokio::spawn(serve(socket, manner, state.clone()));
                }
            });
        }
        Hosts { urls, state }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.urls.clone()
    }

    /// Attempts that came so far.
    pub(crate) fn attempts(&self) -> usize {
        self.state.attempts.load(Ordering::SeqCst)
    }

    /// The most attempts that waited for an answer at once.
    pub(crate) fn open_max(&self) -> usize {
        self.state.open_max.load(Ordering::SeqCst)
    }

    /// Those that hang answer 200 from now on.
    pub(crate) fn answer(&self) {
        self.state.answers.store(true, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }

    /// Waits until this many attempts came.
    pub(crate) async fn until(&self, count: usize) {
        let come = async {
            while self.attempts() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), come).await;
        waited.unwrap_or_else(|_| panic!("{count} attempts come; there were {}", self.attempts()));
    }
}

/// Ends with the connection.
async fn serve(mut socket: TcpStream, manner: Manner, state: Arc<State>) -> Option<()> {
    let (read, mut write) = socket.split();
    let mut read = BufReader::new(read);
    loop {
        let path = take(&mut read).await?;
        state.attempts.fetch_add(1, Ordering::SeqCst);
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.open_max.fetch_max(open, Ordering::SeqCst);
        let answered = answer(&mut read, manner, &path, &state).await;
        state.open.fetch_sub(1, Ordering::SeqCst);
        let status = answered?;
        write.write_all(format!("HTTP/1.1 {status} OK\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.ok()?;
    }
}

/// Reads one request and answers its path.
async fn take(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut first = String::new();
    read.read_line(&mut first).await.ok().filter(|bytes| *bytes > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        read.read_line(&mut line).await.ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    read.read_exact(&mut vec![0; length]).await.ok()?;
    Some(first.split(' ').nth(1)?.to_owned())
}

/// The status; none where the other side goes before there is one.
async fn answer(read: &mut (impl AsyncBufReadExt + Unpin), manner: Manner, path: &str, state: &State) -> Option<u16> {
    match manner {
        Manner::RefusesSome if path.contains("refused") => {
            tokio::time::sleep(REFUSES_AFTER).await;
            Some(500)
        }
        Manner::RefusesSome => Some(200),
        Manner::Takes(time) => {
            tokio::time::sleep(time).await;
            Some(200)
        }
        Manner::Hangs => {
            let changed = state.changed.notified();
            if state.answers.load(Ordering::SeqCst) {
                return Some(200);
            }
            tokio::select! {
                () = changed => Some(200),
                _ = read.fill_buf() => None,
            }
        }
    }
}
