//! `GET /unified/integration/auth/{workspace_id}/{type}`

use super::consent::Consent;
use crate::api::connections;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Args, Segments, shorten};
use crate::ids::WorkspaceId;
use crate::settings::OAuthClient;
use anyhook_connectors::contract::{AuthScheme, Manifest};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use url::Url;

/// Where vendors send people back to.
pub(super) const CALLBACK: &str = "/oauth/callback";

/// OAuth 2 at one integration: its pages, and the app registered there.
pub(super) struct OAuth<'a> {
    pub(super) client: &'a OAuthClient,
    pub(super) authorize_url: &'static str,
    pub(super) token_url: &'static str,
    pub(super) scopes: &'static str,
}

/// The URL of the page at the vendor where a person consents; with `redirect=true` the way there.
pub(crate) async fn auth_url(
    State(api): State<Arc<Api>>,
    Segments((workspace, integration)): Segments<(String, String)>,
    args: Args,
) -> Result<Response, ApiError> {
    let workspace = check_workspace(&api, &workspace).await?;
    let manifest = find::connector(&shorten(&integration))?.manifest();
    let oauth = oauth(&api, manifest)?;
    let consent = read(&api, workspace, manifest, &args)?;
    let url = page(&api, &oauth, &consent, args.text("scopes"))?;
    if args.flag("redirect")?.unwrap_or(false) { redirect(&url) } else { Ok(String::from(url).into_response()) }
}

/// How an integration is authorised in the browser; 501 where it is not, or where no app is set.
pub(super) fn oauth<'a>(api: &'a Api, manifest: &'static Manifest) -> Result<OAuth<'a>, ApiError> {
    let scheme = manifest.auth.iter().find_map(|method| match method.scheme {
        AuthScheme::OAuth2 { authorize_url, token_url, scopes } => Some((authorize_url, token_url, scopes)),
        _ => None,
    });
    let Some((authorize_url, token_url, scopes)) = scheme else {
        return Err(ApiError::unsupported(format!(
            "{} is not authorised in the browser; make a token there and give it to POST /unified/connection \
             (token_instructions of GET /unified/integration say how)",
            manifest.name
        )));
    };
    let client = api.oauth_clients.iter().find(|client| client.integration == manifest.integration);
    let client = client.ok_or_else(|| {
        ApiError::unsupported(format!(
            "no app is registered for {0}; register one there with the redirect URL {1}{CALLBACK} and set \
             ANYHOOK_OAUTH_CLIENTS={2}:<client id>:<client secret>, or give a token to POST /unified/connection",
            manifest.name, api.context.public_url, manifest.integration
        ))
    })?;
    Ok(OAuth { client, authorize_url, token_url, scopes })
}

fn read(api: &Api, workspace: WorkspaceId, manifest: &Manifest, args: &Args) -> Result<Consent, ApiError> {
    let text = |name: &str| args.text(name).map(str::to_owned);
    let api_url = text("subdomain").filter(|_| manifest.base_url.is_none());
    if manifest.base_url.is_none() && api_url.is_none() {
        return Err(ApiError::field("subdomain", format!("is missing; give the address of your {}", manifest.name)));
    }
    // Told before a person has consented in vain; it is checked again when the connection is made.
    if let Some(url) = api_url.as_deref().and_then(|text| Url::parse(text).ok()) {
        connections::check_url(&url, &api.guards.vendors).map_err(|refused| ApiError::field("subdomain", refused))?;
    }
    Ok(Consent {
        workspace,
        integration: manifest.integration.to_owned(),
        environment: text("env"),
        external_xref: text("external_xref"),
        success_redirect: target(args, "success_redirect")?,
        failure_redirect: target(args, "failure_redirect")?,
        state: text("state"),
        api_url,
        until: Consent::until(api),
    })
}

/// A page to land on.
fn target(args: &Args, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = args.text(name) else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(|url| Some(url.into())).ok_or_else(|| ApiError::field(name, "expected a whole http or https URL"))
}

/// The authorization request (RFC 6749, section 4.1.1).
fn page(api: &Api, oauth: &OAuth<'_>, consent: &Consent, scopes: Option<&str>) -> Result<Url, ApiError> {
    let broken = |_| ApiError::unsupported("the integration's authorisation page is not a URL");
    let mut url = Url::parse(oauth.authorize_url).map_err(broken)?;
    let scopes = scopes.map(|scopes| scopes.replace(',', " "));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &oauth.client.client_id)
        .append_pair("redirect_uri", &format!("{}{CALLBACK}", api.context.public_url))
        .append_pair("scope", scopes.as_deref().unwrap_or(oauth.scopes))
        .append_pair("state", &consent.seal(api)?);
    Ok(url)
}

/// 302 to there.
pub(super) fn redirect(url: &Url) -> Result<Response, ApiError> {
    let wrong = |_| ApiError::unsupported("the URL cannot be sent in a header");
    let location = HeaderValue::try_from(url.as_str()).map_err(wrong)?;
    Ok((StatusCode::FOUND, [(LOCATION, location)]).into_response())
}

/// The workspace has to be there; nothing else is told of it.
pub(super) async fn check_workspace(api: &Api, workspace: &str) -> Result<WorkspaceId, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "there is no such workspace");
    let id = workspace.parse().map_err(|_| missing())?;
    api.context.store.workspace(id).await?.map(|_| id).ok_or_else(missing)
}
