//! `POST /unified/webhook`

use super::secret::{self, Asked};
use super::{settings, view};
use crate::api::auth::Caller;
use crate::api::delivery_settings;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::output;
use crate::api::state::Api;
use crate::api::wire::{Args, Fields, JsonBody};
use crate::credentials::Credentials;
use crate::ids::{FeedId, JobId, WebhookId};
use crate::store::{
    Connection, DeliverySettings, JobMode, ListingJob, NewWebhook, PayloadVersion, Webhook, WebhookKind,
};
use anyhook_connectors::contract::{Account, Connector, ConnectorError, Handshake, HookJob, ObjectSpec, Registers};
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Subscribes. Answers once it is durable and before anyone is called: the feed is polled, and a native webhook
/// registered at the vendor, in the background.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    args: Args,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let connection = find::connection(&api, caller, fields.required("connection_id")?).await?;
    let include_all = args.flag("include_all")?.unwrap_or(false);
    let mut webhook = read(&api, &connection, &fields)?;
    let secret = Asked::read(&fields)?.wanted(&api, &webhook)?;
    if let Some(secret) = &secret {
        webhook.delivery.signing = Some(secret::first(&api, &webhook, secret)?);
    }
    check_count(&api, &connection).await?;
    if include_all && is_only_pushed(&webhook)? {
        let what = webhook.object_type;
        return Err(ApiError::unsupported(format!("include_all: {what} is only pushed, so that there is no history")));
    }
    let initial = if include_all { Some(initial_job(&api, &webhook)?) } else { None };
    let webhook = api.context.store.insert_webhook(NewWebhook { webhook, initial }).await?;
    view::answer_with(&api, &webhook, secret.as_ref()).await
}

fn is_only_pushed(webhook: &Webhook) -> Result<bool, ApiError> {
    let manifest = find::connector(&webhook.integration)?.manifest();
    Ok(manifest.object(webhook.object_type).is_some_and(ObjectSpec::is_only_pushed))
}

fn read(api: &Api, connection: &Connection, fields: &Fields<'_>) -> Result<Webhook, ApiError> {
    let connector = find::connector(&connection.integration)?;
    let manifest = connector.manifest();
    let limits = &api.context.limits.api;
    let spec = settings::object_spec(fields, manifest)?;
    let event = settings::event(fields)?.ok_or_else(|| fields.error("event", "is missing"))?;
    let filters = settings::filters(fields, spec)?;
    let native = native_way(api, connection, connector, spec, &filters)?;
    let asked = settings::kind(fields)?;
    let kind = settings::choose_kind(asked, event, manifest, spec, native.works_by_itself(api))?;
    if kind == WebhookKind::Native {
        native.check()?;
    }
    settings::refuse_databases(fields)?;
    settings::check_permission(connection, spec.object_type)?;
    let interval_ms = settings::interval_ms(fields, "interval", limits)?.unwrap_or(limits.interval_default_ms);
    let interval_max_ms = settings::interval_ms(fields, "interval_max", limits)?;
    settings::check_range(fields, interval_ms, interval_max_ms)?;
    let version = settings::version(fields)?.unwrap_or(PayloadVersion::NEWEST);
    let mut delivery = DeliverySettings { version, ..DeliverySettings::default() };
    delivery_settings::merge(&mut delivery, fields, limits)?;
    let now = api.now();
    let (clock, random) = (&api.context.clock, &api.context.random);
    let mut webhook = Webhook {
        id: WebhookId::new(clock, random)?.at_home_of(connection.id),
        workspace_id: connection.workspace_id,
        connection_id: connection.id,
        feed_id: FeedId::new(clock, random)?.at_home_of(connection.id),
        shard: connection.shard,
        integration: connection.integration.clone(),
        environment: connection.environment.clone(),
        event,
        object_type: spec.object_type,
        hook_url: settings::hook_url(fields, api)?.ok_or_else(|| fields.error("hook_url", "is missing"))?,
        interval_ms,
        kind,
        filters,
        fields: settings::object_fields(fields, spec.object_type)?.unwrap_or_default(),
        page_max_limit: settings::page_max_limit(fields)?,
        is_paused: fields.flag("is_paused")?.unwrap_or(false),
        external_xref: connection.external_xref.clone(),
        created_at: now,
        updated_at: now,
        registered: None,
        revision: 0,
        interval_max_ms,
        delivery,
    };
    output::merge(&mut webhook, None, fields, &api.context.vault, &api.context.limits.deliver)?;
    Ok(webhook)
}

/// How the vendor's own webhooks would come about.
struct NativeWay {
    /// Their secret is there, or the vendor brings it by itself.
    has_secret: bool,
    /// Whether they can be registered by request, or why not.
    request: Result<(), ConnectorError>,
}

fn native_way(
    api: &Api,
    connection: &Connection,
    connector: &dyn Connector,
    spec: &ObjectSpec,
    filters: &BTreeMap<String, String>,
) -> Result<NativeWay, ApiError> {
    let account = Account { meta: &connection.profile.meta };
    let handshake = connector.native(account).ok().flatten().and_then(|native| native.handshake);
    let has_secret = matches!(handshake, Some(Handshake::SecretHeader { .. }))
        || !Credentials::open(&api.context.vault, connection)?.webhook_secrets().is_empty();
    let job =
        HookJob { account, object_type: spec.object_type, filters, ingress_url: &api.context.public_url, secret: "" };
    let registers = connector.manifest().native.map_or(Registers::No, |native| native.registers);
    let request = match registers {
        Registers::AppSecret if !has_secret => Err(ConnectorError::setting(
            "auth.meta.webhook_secret",
            "is not set at the connection; put the secret of the app there, which the vendor signs with",
        )),
        // The request is only built, to see whether it can be.
        _ => connector.register_request(&job).map(|_| ()),
    };
    Ok(NativeWay { has_secret, request })
}

impl NativeWay {
    /// Whether it works without a person doing more. A vendor pushes only to what it can reach; whoever put a secret
    /// into the connection has seen to that.
    fn works_by_itself(&self, api: &Api) -> bool {
        match &self.request {
            Ok(()) => self.has_secret || api.context.public_url.starts_with("https://"),
            Err(ConnectorError::Setting { .. }) => false,
            Err(_) => self.has_secret,
        }
    }

    /// 400 where it cannot work at all.
    fn check(self) -> Result<(), ApiError> {
        match self.request {
            _ if self.has_secret => Ok(()),
            Ok(()) => Ok(()),
            Err(ConnectorError::Setting { field, message }) => Err(ApiError::field(field, message)),
            Err(_) => Err(ApiError::field(
                "auth.meta.webhook_secret",
                "is not set at the connection; set up the vendor's webhook by hand and put its secret there first",
            )),
        }
    }
}

/// A bound on a connection's webhooks.
async fn check_count(api: &Api, connection: &Connection) -> Result<(), ApiError> {
    let max = api.context.limits.api.webhooks_per_connection_max;
    if api.context.store.count_webhooks(connection.id).await? < max {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!("the connection has {max} webhooks already; delete some, or raise the limit")))
}

/// The listing of history that comes before the log.
fn initial_job(api: &Api, webhook: &Webhook) -> Result<ListingJob, ApiError> {
    let id = JobId::new(&api.context.clock, &api.context.random)?.at_home_of(webhook.connection_id);
    Ok(ListingJob::new(id, webhook, JobMode::Initial, webhook.created_at))
}
