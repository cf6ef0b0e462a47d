//! What the store tells the hub.

use super::Hub;
use crate::deliver::signal::{CHANGED, GREW, JOB};
use crate::ids::{ConnectionId, WebhookId};
use crate::store::{Destination, Duty, StoreError, Wake};

/// Feeds of a connection that are woken when it changes.
const FEEDS_MAX: usize = 10_000;

impl Hub {
    pub(super) async fn woken(&mut self, wake: Wake) {
        let woken = match wake {
            Wake::LogGrew(feed) => {
                let readers = self.readers.of(&*self.shared.context.store, feed).await;
                readers.map(|readers| {
                    let leases = &self.shared.context.leases;
                    let ours = readers.iter().filter(|(_, shard)| leases.lease(Duty::Deliver, *shard).is_some());
                    let ours: Vec<WebhookId> = ours.map(|(webhook, _)| *webhook).collect();
                    ours.into_iter().for_each(|webhook| self.dispatch(webhook, GREW));
                })
            }
            Wake::WebhookChanged(webhook) => {
                self.readers.forget();
                self.dispatch(webhook, CHANGED);
                Ok(())
            }
            Wake::JobChanged(_, webhook) => {
                self.dispatch(webhook, JOB);
                Ok(())
            }
            Wake::ConnectionChanged(connection) => self.connection_changed(connection).await,
            Wake::WorkspaceChanged(workspace) => {
                self.shared.keyring.forget_workspace(workspace);
                Ok(())
            }
            Wake::Notified(destination) => {
                self.dispatch(Destination::served_as(destination), GREW);
                Ok(())
            }
            Wake::FeedDue(_) => Ok(()),
            Wake::Missed => {
                self.look_anew();
                Ok(())
            }
        };
        if let Err(error) = woken {
            tracing::warn!(%error, "a change could not be followed; all shards are looked through");
            self.rescan();
        }
    }

    async fn connection_changed(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        self.shared.keyring.forget_connection(connection);
        let store = self.shared.context.store.clone();
        for feed in store.feeds_of_connection(connection, FEEDS_MAX).await? {
            let readers = self.readers.of(&*store, feed.id).await?;
            readers.iter().for_each(|(webhook, _)| self.dispatch(*webhook, CHANGED));
        }
        Ok(())
    }

    pub(super) fn lagged(&mut self, missed: u64) {
        tracing::info!(missed, "more became durable than could be heard of; all shards are looked through");
        self.look_anew();
    }

    /// What is known may be old: everything is read again.
    fn look_anew(&mut self) {
        self.shared.keyring.forget();
        self.readers.forget();
        self.running.values().for_each(|running| running.signal.raise(CHANGED));
        self.rescan();
    }
}
