//! Webhooks that are made through the store itself, as copies of a connection that was made through the API: for benches
//! that are not about making them.

use crate::database::Database;
use anyhook::clock::Clock;
use anyhook::credentials::Credentials;
use anyhook::ids::{ConnectionId, FeedId, WebhookId};
use anyhook::limits::StoreLimits;
use anyhook::random::Random;
use anyhook::secrets::Vault;
use anyhook::store::{Connection, Connections, NewWebhook, PostgresOptions, PostgresStore, ShardId, Webhook, Webhooks};
use std::sync::Arc;

/// The nodes' master key.
const MASTER_KEY: [u8; 32] = [0; 32];

/// The nodes' store, and a connection with webhooks to be copied.
pub(crate) struct Stored {
    store: PostgresStore,
    vault: Vault,
    clock: Clock,
    random: Random,
    connection: Connection,
    webhooks: Vec<Webhook>,
}

impl Stored {
    /// Copies of the connection of these webhooks.
    pub(crate) async fn copies_of(webhooks: &[String], database: &Database) -> Arc<Self> {
        let options = PostgresOptions::new(&database.url, &database.schema, None).expect("a URL");
        let store = PostgresStore::open(&options, &StoreLimits::default()).await.expect("the nodes' store");
        let mut found = Vec::new();
        for id in webhooks {
            found.extend(store.webhook(id.parse().expect("an id")).await.expect("an answer"));
        }
        let connection = store.connection(found[0].connection_id).await.expect("an answer").expect("a connection");
        let vault = Vault::new(&MASTER_KEY, Random::system());
        let (clock, random) = (Clock::system(), Random::system());
        Arc::new(Stored { store, vault, clock, random, connection, webhooks: found })
    }

    /// Copies it for an account, with webhooks at addresses that begin so. Answers the webhooks' ids.
    pub(crate) async fn copy(self: &Arc<Self>, token: String, hook: String) -> Vec<String> {
        let own = self.clone();
        // The store waits within a task: in one that a thread waits for outside of the runtime, its wakes get lost.
        tokio::spawn(async move { own.copied(&token, &hook).await }).await.expect("copied")
    }

    async fn copied(&self, token: &str, hook: &str) -> Vec<String> {
        let (now, bucket) = (self.clock.now(), format!("sandbox:{token}"));
        let id = ConnectionId::new(&self.clock, &self.random).expect("an id");
        let shard = ShardId::of_bucket(&bucket);
        let mut connection =
            Connection { id, shard, bucket, created_at: now, updated_at: now, ..self.connection.clone() };
        let credentials = Credentials { token: Some(token.to_owned()), ..Credentials::default() };
        connection.auth = credentials.seal(&self.vault, &connection).expect("sealed");
        self.store.insert_connection(connection).await.expect("a connection");
        let webhooks = self.webhooks.iter().enumerate().map(|(index, webhook)| Webhook {
            id: WebhookId::new(&self.clock, &self.random).expect("an id").at_home_of(id),
            feed_id: FeedId::new(&self.clock, &self.random).expect("an id").at_home_of(id),
            connection_id: id,
            shard,
            hook_url: format!("{hook}-{index}"),
            created_at: now,
            updated_at: now,
            ..webhook.clone()
        });
        let mut ids = Vec::new();
        for webhook in webhooks {
            let made = self.store.insert_webhook(NewWebhook { webhook, initial: None }).await;
            ids.push(made.expect("a webhook").id.to_string());
        }
        ids
    }
}
