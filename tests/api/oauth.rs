//! Consent by OAuth 2, against the simulator's own pages: from the URL to a connection whose token works.

use crate::http_support::Server;
use anyhook::clock::Clock;
use anyhook::credentials::Credentials;
use anyhook::limits::Limits;
use anyhook::outbound::guard::Guard;
use anyhook::outbound::{HttpClient, Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::simulator::{Simulator, SimulatorSettings};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// The way to a simulator on a free port, where the integration knows it on its usual one.
struct Way {
    client: HttpClient,
    port: u16,
}

#[async_trait]
impl Outbound for Way {
    async fn send(&self, mut request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        request.url.set_port(Some(self.port)).unwrap();
        self.client.send(request).await
    }
}

struct World {
    server: Server,
    way: Arc<Way>,
}

impl World {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let simulator =
            Simulator::new(SimulatorSettings { records: 1, ..SimulatorSettings::default() }, Clock::system());
        tokio::spawn(async move { simulator.serve(listener, std::future::pending()).await });
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let way = Arc::new(Way { client: HttpClient::vendors(guard).unwrap(), port });
        World { server: Server::start_with(Limits::default(), way.clone()).await, way }
    }

    async fn consent_url(&self, query: &str) -> Url {
        let path = format!(
            "/unified/integration/auth/{}/sandbox?subdomain=http://127.0.0.1:8090{query}",
            self.server.workspace
        );
        let answer = self.server.send("GET", &path, &[], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"), "{answer:?}");
        answer.text.parse().unwrap()
    }

    /// A person consents at the vendor; the path and query that the vendor sends them back to.
    async fn consent(&self, url: Url) -> String {
        let answer = self.way.send(get(url)).await.unwrap();
        assert_eq!(answer.status, 302);
        let back: Url = answer.headers["location"].to_str().unwrap().parse().unwrap();
        assert!(back.as_str().starts_with(&self.server.url), "{back}");
        format!("{}?{}", back.path(), back.query().unwrap())
    }
}

fn get(url: Url) -> OutboundRequest {
    OutboundRequest {
        method: http::Method::GET,
        url,
        headers: http::HeaderMap::new(),
        body: Vec::new(),
        deadline: Duration::from_secs(10),
        body_bytes_max: 1 << 16,
    }
}

#[tokio::test]
async fn consent_makes_a_connection_and_lands_where_it_was_asked_to() {
    let world = World::start().await;
    let url = world.consent_url("&external_xref=c7&state=mine&success_redirect=https://app.example/done?a=1").await;
    let back = world.consent(url).await;
    let landed = world.server.send("GET", &back, &[], b"").await;
    assert_eq!(landed.status, 302, "{landed:?}");
    let place: Url = landed.header("location").parse().unwrap();
    let query: Vec<_> = place.query_pairs().into_owned().collect();
    assert_eq!((query[0].1.as_str(), query[2].1.as_str()), ("1", "mine"));
    let made = world.server.get(&format!("/unified/connection/{}", query[1].1)).await.ok();
    assert_eq!((&made["external_xref"], &made["integration_type"]), (&"c7".into(), &"sandbox".into()));
    let row = world.server.store.connection(query[1].1.parse().unwrap()).await.unwrap().unwrap();
    let credentials = Credentials::open(&world.server.context.vault, &row).unwrap();
    assert!(credentials.refresh_token.is_some() && credentials.expires_at.is_some());
    let mut request = get("http://127.0.0.1:8090/v1/contacts".parse().unwrap());
    let bearer = format!("Bearer {}", credentials.access_token.unwrap());
    request.headers.insert("authorization", bearer.parse().unwrap());
    assert_eq!(world.way.send(request).await.unwrap().status, 200, "the token works");
}

#[tokio::test]
async fn a_code_works_once_and_a_state_that_is_not_ours_never() {
    let world = World::start().await;
    let back = world.consent(world.consent_url("").await).await;
    let first = world.server.send("GET", &back, &[], b"").await;
    assert!(first.status == 200 && first.text.starts_with("id: "), "{first:?}");
    world.server.send("GET", &back, &[], b"").await.refused(422, "token endpoint");
    world.server.send("GET", "/oauth/callback?code=x&state=bm90aGluZw%3D%3D", &[], b"").await.refused(400, "state");
    let listed = world.server.get("/unified/connection").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_lands_on_the_page_for_failures() {
    let world = World::start().await;
    let url = world.consent_url("&failure_redirect=https://app.example/sorry").await;
    let (_, state) = url.query_pairs().into_owned().find(|(name, _)| name == "state").unwrap();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", &state).finish();
    let landed = world.server.send("GET", &format!("/oauth/callback?error=access_denied&{query}"), &[], b"").await;
    assert_eq!(landed.status, 302, "{landed:?}");
    assert!(landed.header("location").starts_with("https://app.example/sorry?error="), "{landed:?}");
    assert!(landed.header("location").contains("access_denied"));
}

#[tokio::test]
async fn what_cannot_be_authorised_says_what_to_do() {
    let server = Server::start().await;
    let ask = async |rest: &str| server.send("GET", &format!("/unified/integration/auth/{rest}"), &[], b"").await;
    ask(&format!("{}/redmine", server.workspace)).await.refused(501, "POST /unified/connection");
    ask(&format!("{}/github", server.workspace)).await.refused(501, "ANYHOOK_OAUTH_CLIENTS=github");
    ask(&format!("{}/sandbox", server.workspace)).await.refused(400, "subdomain");
    ask(&format!("{}/sandbox?subdomain=http://127.0.0.1:4&success_redirect=ftp://x", server.workspace))
        .await
        .refused(400, "success_redirect");
    for (address, told) in
        [("http://169.254.169.254", "ANYHOOK_VENDORS_ALLOW"), ("http://vendor.example:22", "port 22")]
    {
        ask(&format!("{}/sandbox?subdomain={address}", server.workspace)).await.refused(400, told);
    }
    ask("000000000000000000000000/sandbox").await.refused(404, "workspace");
}
