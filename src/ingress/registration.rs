//! One feed's registration at the vendor: brought to what its native webhooks ask for.
//!
//! A vendor pushes to a connection's ingress, and what it pushes serves all webhooks of a feed, so that a feed has one
//! registration; each of its native webhooks carries it. Some vendors refuse a second one for the same events.

use super::change::change_credentials;
use crate::context::Context;
use crate::credentials::Credentials;
use crate::ids::{ConnectionId, FeedId};
use crate::poll::budget::Caller;
use crate::poll::error::PollError;
use crate::poll::transport::Vendors;
use crate::store::{ApiCall, CallKind, Connection, Duty, Registered, StoreError, Webhook, WebhookKind};
use anyhook_connectors::contract::{Account, ApiRequest, Connector, HookJob, Registers, Registration, Verdict};
use std::sync::Arc;

/// How often a row is changed again because another change came first.
const TRIES_MAX: u32 = 8;
/// Bytes of a secret made here; vendors see its 64 hexadecimal characters.
const SECRET_BYTES: usize = 32;

/// What is known of a feed's registration; enough to remove it once the rows are gone.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// One of the feed's native webhooks, as last seen.
    pub(super) webhook: Webhook,
    /// Its connection, as last seen.
    pub(super) connection: Connection,
    /// The vendor's registration.
    pub(super) registered: Option<Registered>,
    /// True once the rows are gone, so that only a registration at the vendor is left.
    pub(super) is_gone: bool,
}

/// Brings feeds' registrations to what is asked for.
#[derive(Clone)]
pub(super) struct Registrations {
    pub(super) context: Context,
    pub(super) vendors: Arc<Vendors>,
}

/// Where a feed's registration stands and what is to be done about it.
enum Todo {
    Register,
    /// Each webhook is to carry it.
    Share(Registered),
    Remove(Registered),
    Nothing,
}

impl Registrations {
    /// Settles one feed; `known` is what is known of it then, none where nothing is left to know.
    pub(super) async fn settle(&self, feed: FeedId, known: &mut Option<Known>) -> Result<(), PollError> {
        let webhooks = self.native_webhooks(feed).await?;
        let of_row = webhooks.first().map(|webhook| webhook.connection_id);
        let Some(id) = of_row.or(known.as_ref().map(|known| known.connection.id)) else { return Ok(()) };
        let shard = webhooks.first().or(known.as_ref().map(|known| &known.webhook)).map(|webhook| webhook.shard);
        // Kept to the end, so that no other node is given the shard before and registers once more.
        let Some(_lease) = shard.and_then(|shard| self.context.leases.lease(Duty::Poll, shard)) else {
            *known = None;
            return Ok(());
        };
        let connection = self.context.store.connection(id).await?;
        let Some(mut last) = last_seen(&webhooks, connection.as_ref(), known.take()) else { return Ok(()) };
        let result = self.act(todo(&webhooks, connection.as_ref(), &last), &webhooks, &mut last).await;
        let is_over = last.is_gone && last.registered.is_none();
        *known = Some(last).filter(|_| !is_over);
        result
    }

    async fn act(&self, todo: Todo, webhooks: &[Webhook], last: &mut Known) -> Result<(), PollError> {
        match todo {
            Todo::Nothing => {}
            Todo::Share(registered) => self.carry(webhooks, Some(&registered)).await?,
            Todo::Register => {
                let Some(registered) = self.register(last).await? else { return Ok(()) };
                tracing::info!(webhook = %last.webhook.id, connection = %last.connection.id, "the vendor pushes now");
                last.registered = Some(registered);
                self.carry(webhooks, last.registered.as_ref()).await?;
            }
            Todo::Remove(registered) => {
                self.remove(last, &registered).await?;
                tracing::info!(webhook = %last.webhook.id, connection = %last.connection.id, "the vendor pushes no more");
                last.registered = None;
                self.carry(webhooks, None).await?;
            }
        }
        Ok(())
    }

    /// The feed's native webhooks; bounded by how many a connection may have.
    async fn native_webhooks(&self, feed: FeedId) -> Result<Vec<Webhook>, StoreError> {
        let limit = self.context.limits.api.webhooks_per_connection_max;
        let mut webhooks = self.context.store.webhooks_of_feed(feed, None, limit).await?;
        webhooks.retain(|webhook| webhook.kind == WebhookKind::Native);
        Ok(webhooks)
    }

    /// Writes the registration, or that there is none, into each webhook's row.
    async fn carry(&self, webhooks: &[Webhook], registered: Option<&Registered>) -> Result<(), StoreError> {
        for webhook in webhooks {
            let mut current = Some(webhook.clone());
            for _ in 0..TRIES_MAX {
                let Some(row) = current.filter(|row| row.registered.as_ref() != registered) else { break };
                match self.context.store.replace_webhook(Webhook { registered: registered.cloned(), ..row }).await {
                    Ok(_) | Err(StoreError::Missing(_)) => break,
                    Err(StoreError::Conflict(_)) => current = self.context.store.webhook(webhook.id).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Registers; none where that cannot be asked for, because the vendor has no place for it or a filter does not name
    /// one: then a person sets the vendor's webhook up by hand.
    async fn register(&self, last: &Known) -> Result<Option<Registered>, PollError> {
        let connector = self.vendors.connector(&last.connection)?;
        let registers = connector.manifest().native.map_or(Registers::No, |native| native.registers);
        let Some((connection, secret)) = self.secret(last.connection.id, registers).await? else {
            tracing::info!(webhook = %last.webhook.id, "auth.meta.webhook_secret is missing, which the vendor signs with");
            return Ok(None);
        };
        let ingress_url = self.ingress_url(connection.id);
        let job = job(&last.webhook, &connection, &ingress_url, &secret);
        let request = match connector.register_request(&job) {
            Ok(request) => request,
            Err(error) => {
                tracing::info!(webhook = %last.webhook.id, %error, "the vendor's webhook is to be set up by hand");
                return Ok(None);
            }
        };
        let result = self.ask(&connection, &request, connector, &job).await;
        self.record(last, "register webhook", &request, result.as_ref().err()).await;
        let registration = result?;
        if let Some(secret) = registration.secret {
            change_credentials::<PollError>(&self.context, connection.id, |credentials| {
                credentials.registered_secrets.insert(registration.id.clone(), secret.clone());
            })
            .await?;
        }
        Ok(Some(Registered { id: registration.id }))
    }

    async fn ask(
        &self,
        connection: &Connection,
        request: &ApiRequest,
        connector: &dyn Connector,
        job: &HookJob<'_>,
    ) -> Result<Registration, PollError> {
        let answer = self.vendors.call(Caller::single(connection.id), connection, request).await?;
        match answer.verdict {
            Verdict::Read => Ok(connector.read_registration(job, &answer.response())?),
            _ => Err(PollError::permanent(
                "not_found",
                format!("{} has nothing to register a webhook on there", connector.manifest().name),
            )),
        }
    }

    /// Removes a registration; one that the vendor no longer has counts as removed.
    async fn remove(&self, last: &Known, registered: &Registered) -> Result<(), PollError> {
        let connector = self.vendors.connector(&last.connection)?;
        let secret = Credentials::open(&self.context.vault, &last.connection)?.webhook_secret.unwrap_or_default();
        let ingress_url = self.ingress_url(last.connection.id);
        let job = job(&last.webhook, &last.connection, &ingress_url, &secret);
        let registration = Registration { id: registered.id.clone(), secret: None };
        let request = connector.remove_request(&job, &registration)?;
        let result = self.vendors.call(Caller::single(last.connection.id), &last.connection, &request).await;
        self.record(last, "remove webhook", &request, result.as_ref().err()).await;
        result?;
        self.forget_secret(&last.connection, &registered.id).await
    }

    fn ingress_url(&self, connection: ConnectionId) -> String {
        format!("{}/ingress/{connection}", self.context.public_url)
    }

    /// The connection, and the secret that its webhooks are to be verified by: made if there is none and the vendor takes
    /// ours, empty where the vendor chooses one, none where the app's is not there.
    async fn secret(&self, id: ConnectionId, chosen: Registers) -> Result<Option<(Connection, String)>, PollError> {
        let connection = self.context.store.connection(id).await?.ok_or(PollError::Gone)?;
        if chosen == Registers::VendorsSecret {
            return Ok(Some((connection, String::new())));
        }
        match Credentials::open(&self.context.vault, &connection)?.webhook_secret {
            Some(secret) => Ok(Some((connection, secret))),
            None if chosen == Registers::AppSecret => Ok(None),
            None => {
                let fresh = self.fresh_secret()?;
                let (connection, credentials) = change_credentials::<PollError>(&self.context, id, |credentials| {
                    // Another one may have come meanwhile, and is kept.
                    credentials.webhook_secret.get_or_insert(fresh.clone());
                })
                .await?;
                Ok(Some((connection, credentials.webhook_secret.unwrap_or_default())))
            }
        }
    }

    /// Forgets the secret of a registration that is gone; a connection that is gone has none.
    async fn forget_secret(&self, connection: &Connection, registration: &str) -> Result<(), PollError> {
        if !Credentials::open(&self.context.vault, connection)?.registered_secrets.contains_key(registration) {
            return Ok(());
        }
        let forget = |credentials: &mut Credentials| {
            credentials.registered_secrets.remove(registration);
        };
        match change_credentials(&self.context, connection.id, forget).await {
            Ok(_) | Err(PollError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn fresh_secret(&self) -> Result<String, PollError> {
        let mut bytes = [0; SECRET_BYTES];
        let filled = self.context.random.fill(&mut bytes);
        filled.map_err(|error| PollError::Transient(error.to_string()))?;
        Ok(hex::encode(bytes))
    }

    /// An audit row, so that a person sees why a vendor does not push. What was left to another node has none.
    async fn record(&self, last: &Known, name: &str, request: &ApiRequest, error: Option<&PollError>) {
        if error == Some(&PollError::Gone) {
            return;
        }
        let (webhook, connection) = (&last.webhook, &last.connection);
        let call = ApiCall {
            id: String::new(),
            workspace_id: webhook.workspace_id,
            connection_id: connection.id,
            feed_id: webhook.feed_id,
            webhook_id: Some(webhook.id),
            integration: connection.integration.clone(),
            environment: connection.environment.clone(),
            external_xref: connection.external_xref.clone(),
            kind: CallKind::Inbound,
            method: request.method.as_str().to_owned(),
            name: format!("{name} {}", webhook.object_type),
            path: request.target.split('?').next().unwrap_or_default().to_owned(),
            status: if error.is_some() { 0 } else { 200 },
            error: error.map(ToString::to_string),
            at: self.context.clock.now(),
            duration_ms: 0,
            size_bytes: 0,
            records: 0,
            requests: 1,
            count: 1,
            delivery: None,
            next: None,
            attempt: None,
            destination_id: None,
            changes: None,
        };
        if let Err(error) = self.context.store.record_call(call).await {
            tracing::debug!(webhook = %webhook.id, %error, "the call is not in the audit trail");
        }
    }
}

fn job<'a>(webhook: &'a Webhook, connection: &'a Connection, ingress_url: &'a str, secret: &'a str) -> HookJob<'a> {
    HookJob {
        account: Account { meta: &connection.profile.meta },
        object_type: webhook.object_type,
        filters: &webhook.filters,
        ingress_url,
        secret,
    }
}

/// What is known now. Rows tell what is so; memory only where they are gone, or could not be written.
fn last_seen(webhooks: &[Webhook], connection: Option<&Connection>, known: Option<Known>) -> Option<Known> {
    let webhook = webhooks.first().or(known.as_ref().map(|known| &known.webhook))?.clone();
    let is_gone = webhooks.is_empty() || connection.is_none();
    let connection = connection.or(known.as_ref().map(|known| &known.connection))?.clone();
    let carried = webhooks.iter().find_map(|webhook| webhook.registered.clone());
    Some(Known { webhook, connection, registered: carried.or(known.and_then(|known| known.registered)), is_gone })
}

fn todo(webhooks: &[Webhook], connection: Option<&Connection>, last: &Known) -> Todo {
    let is_live = connection.is_some_and(|connection| !connection.is_paused);
    let is_wanted = is_live && webhooks.iter().any(|webhook| !webhook.is_paused);
    match (is_wanted, last.registered.clone()) {
        (true, None) => Todo::Register,
        (true, Some(registered)) if webhooks.iter().any(|webhook| webhook.registered.is_none()) => {
            Todo::Share(registered)
        }
        (false, Some(registered)) => Todo::Remove(registered),
        (true, Some(_)) | (false, None) => Todo::Nothing,
    }
}
