//! A peer that speaks as it is told, byte by byte: what no well-behaved server would send.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Requests and connections as they came.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    /// Heads of requests, in lower case.
    heads: Vec<String>,
}

/// A listener on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

/// Answers 200 with nothing in it.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

impl Peer {
    /// Handles the n-th request, from zero, by `answer`, which is given its connection and gives it back to be read from
    /// again, or drops it.
    pub(crate) async fn new<F, A>(answer: F) -> Self
    where
        F: Fn(usize, TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = Option<TcpStream>> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    pub(crate) fn on<F, A>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(usize, TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = Option<TcpStream>> + Send + 'static,
    {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let peer = Peer { url, seen: Arc::default() };
        let (seen, answer) = (peer.seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, seen.clone(), answer.clone()));
            }
        });
        peer
    }

    /// One that says the same to every request and leaves the connection open.
    pub(crate) async fn saying(text: &'static [u8]) -> Self {
        Self::new(move |_, mut stream| async move {
            stream.write_all(text).await.ok()?;
            Some(stream)
        })
        .await
    }

    /// One that accepts, and resets the connection before it has read anything.
    pub(crate) async fn resetting() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_zero_linger().unwrap();
            }
        });
        Peer { url, seen: Arc::default() }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().heads.len()
    }

    /// A header of every request that has it.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}: ");
        let seen = self.seen.lock().unwrap();
        let values = seen.heads.iter().flat_map(|head| head.lines().filter_map(|line| line.strip_prefix(&prefix)));
        values.map(str::to_owned).collect()
    }
}

async fn serve<F, A>(stream: TcpStream, seen: Arc<Mutex<Seen>>, answer: Arc<F>)
where
    F: Fn(usize, TcpStream) -> A,
    A: Future<Output = Option<TcpStream>>,
{
    let mut open = Some(stream);
    while let Some(mut stream) = open {
        let Some(head) = read_request(&mut stream).await else { return };
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.heads.push(head);
            seen.heads.len() - 1
        };
        open = answer(number, stream).await;
    }
}

/// Reads a request whole, by its content-length; none if the connection ends first.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if read.len() >= end + 4 + length {
            return Some(head);
        }
    }
}
