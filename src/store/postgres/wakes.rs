//! What other nodes have written, told by the database's notifications.
//!
//! A node's own wakes reach it without them. A listener whose connection broke may have missed some, so that it says so
//! once it hears again; and it says so now and then without a reason, as a safety net.

use super::Database;
use super::endpoint::Endpoint;
use super::failure::Failure;
use crate::ids::{ConnectionId, DestinationId, FeedId, JobId, WebhookId, WorkspaceId};
use crate::store::Wake;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

/// Bytes of a notification that PostgreSQL takes at most are 8,000 (documentation of NOTIFY).
const PAYLOAD_BYTES_MAX: usize = 7_900;
/// The longest wait before a listener connects anew.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Wakes as texts of a notification's size, with the node that they come from.
pub(super) fn encode(node: &str, wakes: &[Wake]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut text = node.to_owned();
    for wake in wakes.iter().filter_map(letters) {
        if text.len() + 1 + wake.len() > PAYLOAD_BYTES_MAX {
            texts.push(std::mem::replace(&mut text, node.to_owned()));
        }
        text.push(' ');
        text.push_str(&wake);
    }
    if text.len() > node.len() {
        texts.push(text);
    }
    texts
}

fn letters(wake: &Wake) -> Option<String> {
    Some(match wake {
        Wake::LogGrew(feed) => format!("L{feed}"),
        Wake::FeedDue(feed) => format!("F{feed}"),
        Wake::WebhookChanged(webhook) => format!("W{webhook}"),
        Wake::JobChanged(job, webhook) => format!("J{job}{webhook}"),
        Wake::ConnectionChanged(connection) => format!("C{connection}"),
        Wake::WorkspaceChanged(workspace) => format!("S{workspace}"),
        Wake::Notified(destination) => format!("N{destination}"),
        Wake::Missed => return None,
    })
}

/// The wakes of a notification of another node. What a newer build says that is not known here is left out.
pub(super) fn decode<'a>(node: &str, text: &'a str) -> impl Iterator<Item = Wake> + 'a {
    let mut words = text.split(' ');
    let is_other = words.next().is_some_and(|from| from != node);
    words.filter(move |_| is_other).filter_map(read)
}

fn read(word: &str) -> Option<Wake> {
    let (kind, id) = word.split_at_checked(1)?;
    Some(match kind {
        "L" => Wake::LogGrew(id.parse::<FeedId>().ok()?),
        "F" => Wake::FeedDue(id.parse::<FeedId>().ok()?),
        "W" => Wake::WebhookChanged(id.parse::<WebhookId>().ok()?),
        "J" => {
            let (job, webhook) = id.split_at_checked(24)?;
            Wake::JobChanged(job.parse::<JobId>().ok()?, webhook.parse::<WebhookId>().ok()?)
        }
        "C" => Wake::ConnectionChanged(id.parse::<ConnectionId>().ok()?),
        "S" => Wake::WorkspaceChanged(id.parse::<WorkspaceId>().ok()?),
        "N" => Wake::Notified(id.parse::<DestinationId>().ok()?),
        _ => return None,
    })
}

/// Listens until told to stop.
pub(super) async fn listen(database: Database, wakes: broadcast::Sender<Wake>, stop: CancellationToken) {
    let mut wait = Duration::from_millis(50);
    loop {
        let heard = stop.run_until_cancelled(Box::pin(hear(&database, &wakes))).await;
        let Some(result) = heard else { return };
        match result {
            // It had been listening.
            Ok(failure) => {
                tracing::warn!(error = %failure.message, "the connection that tells of other nodes' work broke; it is made anew");
                wait = Duration::from_millis(50);
            }
            Err(failure) => {
                tracing::warn!(error = %failure.message, "other nodes' work cannot be listened to; trying again");
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Connects and listens for as long as that goes well; an error where it did not begin.
async fn hear(database: &Database, wakes: &broadcast::Sender<Wake>) -> Result<Failure, Failure> {
    let Endpoint { config, tls, node, channel, left_at, .. } = &*database.endpoint;
    let mut leaves = left_at.subscribe();
    // A database that takes connections and says nothing would be waited for as long as it does.
    let (client, mut connection) = database.in_time(config.connect(tls.clone())).await?;
    let (told, mut hears) = tokio::sync::mpsc::channel(1_024);
    let carry = async {
        let mut messages = poll_fn(|context| connection.poll_message(context));
        loop {
            match messages.next().await {
                Some(Ok(AsyncMessage::Notification(note))) => drop(told.send(note.payload().to_owned()).await),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Failure::from(error),
                None => return Failure::passing("PostgreSQL closed the connection"),
            }
        }
    };
    let work = async {
        database.answered(client.batch_execute(&format!("LISTEN \"{channel}\""))).await?;
        // What was told before this is unknown.
        let _ = wakes.send(Wake::Missed);
        let mut look = tokio::time::interval(database.endpoint.look_every);
        look.reset();
        loop {
            tokio::select! {
                biased;
                text = hears.recv() => match text {
                    // Nobody listens: nobody waits.
                    Some(text) => decode(node, &text).for_each(|wake| drop(wakes.send(wake))),
                    None => return Ok(Failure::passing("nothing more is heard")),
                },
                _ = leaves.changed() => return Ok(Failure::passing("its server has been left")),
                _ = look.tick() => drop(wakes.send(Wake::Missed)),
            }
        }
    };
    tokio::select! {
        biased;
        ended = work => ended,
        failure = carry => Ok(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_come_back_at_other_nodes_in_notifications_that_fit() {
        let feed = FeedId::from_bytes([7; 12]);
        let (job, webhook) = (JobId::from_bytes([1; 12]), WebhookId::from_bytes([2; 12]));
        let wakes: Vec<Wake> = (0..1_000)
            .map(|number| if number % 2 == 0 { Wake::LogGrew(feed) } else { Wake::JobChanged(job, webhook) })
            .collect();
        let texts = encode("one", &wakes);
        assert!(texts.len() > 1 && texts.iter().all(|text| text.len() <= PAYLOAD_BYTES_MAX));
        let heard: Vec<Wake> = texts.iter().flat_map(|text| decode("other", text)).collect();
        assert_eq!(heard, wakes);
        assert_eq!(texts.iter().flat_map(|text| decode("one", text)).count(), 0);
        assert!(encode("one", &[Wake::Missed]).is_empty());
        assert_eq!(decode("one", "other X1 Lnonsense L070707070707070707070707").collect::<Vec<_>>(), [wakes[0]]);
    }
}
