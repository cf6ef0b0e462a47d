//! `GET /oauth/callback`: a person comes back from the vendor's page, with a code or with a refusal.

use super::auth::{CALLBACK, OAuth, oauth, redirect};
use super::consent::Consent;
use crate::api::auth::Caller;
use crate::api::connections;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Args, Fields, shorten};
use crate::poll::oauth as endpoint;
use crate::poll::oauth::Tokens;
use crate::store::Connection;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

/// Changes the code for tokens, makes the connection, and lets the person land on `success_redirect` with `id` appended,
/// or on `failure_redirect` with `error`.
pub(crate) async fn callback(State(api): State<Arc<Api>>, args: Args) -> Result<Response, ApiError> {
    let state = args.text("state").ok_or_else(|| ApiError::field("state", "is missing"))?;
    let consent = Consent::open(&api, state)?;
    match connect(&api, &consent, &args).await {
        Ok(connection) => land(&consent, consent.success_redirect.as_deref(), ("id", &connection.id.to_string())),
        Err(error) if consent.failure_redirect.is_some() => {
            land(&consent, consent.failure_redirect.as_deref(), ("error", error.message()))
        }
        Err(error) => Err(error),
    }
}

async fn connect(api: &Api, consent: &Consent, args: &Args) -> Result<Connection, ApiError> {
    let manifest = find::connector(&consent.integration)?.manifest();
    let oauth = oauth(api, manifest)?;
    if let Some(error) = args.text("error") {
        return Err(ApiError::unprocessable(format!("{} did not authorise: {}", manifest.name, shorten(error))));
    }
    let code = args.text("code").ok_or_else(|| ApiError::field("code", "is missing"))?;
    let redirect_uri = format!("{}{CALLBACK}", api.context.public_url);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri.as_str()),
        ("client_id", oauth.client.client_id.as_str()),
        ("client_secret", oauth.client.client_secret.reveal()),
    ];
    let tokens = endpoint::ask(&api.context, manifest.name, oauth.token_url, &fields).await;
    let tokens = tokens.map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let body = body(consent, &oauth, tokens);
    let fields = Fields::new("", &body, &api.context.limits.api);
    connections::import(api, Caller { workspace: consent.workspace }, &fields).await
}

/// The connection as a caller of POST /unified/connection would give it.
fn body(consent: &Consent, oauth: &OAuth<'_>, tokens: Tokens) -> Map<String, Value> {
    let mut auth = Map::new();
    if let Some(life) = tokens.life() {
        auth.insert("expires_in".to_owned(), life.num_seconds().into());
    }
    let texts = [
        ("access_token", Some(tokens.access_token)),
        ("refresh_token", tokens.refresh_token),
        ("client_id", Some(oauth.client.client_id.clone())),
        ("client_secret", Some(oauth.client.client_secret.reveal().to_owned())),
        ("api_url", consent.api_url.clone()),
    ];
    auth.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
    let texts = [
        ("integration_type", Some(consent.integration.clone())),
        ("environment", consent.environment.clone()),
        ("external_xref", consent.external_xref.clone()),
    ];
    let mut body: Map<_, _> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
    body.insert("auth".to_owned(), Value::Object(auth));
    body
}

/// To the caller's page, or to a line of ours where it named none.
fn land(consent: &Consent, page: Option<&str>, (name, value): (&str, &str)) -> Result<Response, ApiError> {
    let Some(mut url) = page.and_then(|page| Url::parse(page).ok()) else {
        return Ok(format!("{name}: {value}\n").into_response());
    };
    url.query_pairs_mut().append_pair(name, value);
    if let Some(state) = &consent.state {
        url.query_pairs_mut().append_pair("state", state);
    }
    redirect(&url)
}
