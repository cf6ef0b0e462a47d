//! Trello, by its REST API (developer.atlassian.com/cloud/trello/rest): boards as projects, cards as tasks.
//!
//! Lists filter by creation alone, so that each poll lists what there is and the ledger tells what is new; what Trello
//! pushes makes it poll at once. An id begins with when it was made, in hexadecimal seconds
//! (support.atlassian.com/trello/docs/getting-the-time-a-card-or-board-was-created).

mod event;
mod hooks;
mod objects;

use crate::contract::{
    ApiRequest, ApiResponse, AppLimit, Arrival, AuthField, AuthMethod, AuthScheme, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, Deletions, Digest, Encoding, Found, GetJob, Handshake, Hmac, HookJob,
    KeyForm, Listing, Manifest, NativeEvent, NativeSpec, Next, ObjectSpec, Order, Page, PageJob, Paging, Parent,
    RateLimit, Registers, Registration, SignatureForm, Template, TokenField, ValueAt, Verification, encode_segment,
};
use crate::json::{Id, read_record, read_records};
use crate::model::ObjectType;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The filter that names a board by its id.
pub(crate) const BOARD_FILTER: &str = "project_id";

static MANIFEST: Manifest = Manifest {
    integration: "trello",
    name: "Trello",
    web_url: "https://trello.com",
    api_docs_url: "https://developer.atlassian.com/cloud/trello/rest",
    base_url: Some("https://api.trello.com"),
    // developer.atlassian.com/cloud/trello/guides/rest-api/authorization: the key, which is no secret, and the token go
    // into the query.
    auth: &[AuthMethod {
        scheme: AuthScheme::Query { name: "token", field: AuthField::Token },
        fields: &[
            TokenField {
                field: AuthField::Meta("app_id"),
                name: "API key",
                instruction: "The API key of your Power-Up, from trello.com/power-ups/admin.",
            },
            TokenField {
                field: AuthField::Token,
                name: "Token",
                instruction: "A token with the scope read that a person has given to the Power-Up. Its secret, for \
                              native webhooks, goes into auth.meta.webhook_secret.",
            },
        ],
    }],
    headers: &[("accept", "application/json")],
    objects: &[spec(ObjectType::TaskProject, "board"), spec(ObjectType::TaskTask, "card")],
    // developer.atlassian.com/cloud/trello/guides/rest-api/rate-limits
    rate_limit: RateLimit {
        requests: 100,
        per_ms: 10_000,
        description: "100 requests in 10 s for a token, 300 for an API key, and 100 in 900 s for what is under \
                      /1/members, as is the list of boards",
        silent_pause_ms: 10_000,
        app: Some(AppLimit {
            requests: 300,
            per_ms: 10_000,
            remaining_header: None,
            reset_header: None,
            refusal: None,
        }),
        ..RateLimit::PLAIN
    },
    // developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Webhook Signatures" and "Creating a Webhook".
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "x-trello-webhook",
            form: SignatureForm::Prefixed(""),
            digest: Digest::Sha1,
            encoding: Encoding::Base64,
            key: KeyForm::Raw,
            content: Template("{body}{url}"),
            timestamp: None,
        }),
        delivery_id: Some(ValueAt::Body("action.id")),
        registers: Registers::AppSecret,
        comparable: false,
        handshake: Some(Handshake::Head),
    }),
};

const ALL: Listing = Listing { cursor: CursorKind::Nothing, order: Order::Unordered, paging: Paging::Token };

const fn spec(object_type: ObjectType, raw_object: &'static str) -> ObjectSpec {
    let is_card = matches!(object_type, ObjectType::TaskTask);
    ObjectSpec {
        object_type,
        raw_object,
        live: ALL,
        history: ALL,
        page_size: 1_000,
        result_window: None,
        late_visibility_ms: 60_000,
        granularity_ms: 1,
        deletions: Deletions::Silent,
        created_at: CreatedAt::True,
        parent: if is_card { Some(ObjectType::TaskProject) } else { None },
        filters: if is_card { &[BOARD_FILTER] } else { &[] },
        volatile: &["dateLastView", "limits"],
        native: &[Change::Created, Change::Updated, Change::Deleted],
        conditional: Conditional::Never,
    }
}

/// The connector.
pub struct Trello;

/// A request with the key.
fn ask(account: crate::contract::Account<'_>, path: impl Into<String>) -> ApiRequest {
    ApiRequest::get(path).query_opt("key", account.setting("app_id"))
}

fn path(object_type: ObjectType) -> Result<&'static str, ConnectorError> {
    match object_type {
        ObjectType::TaskProject => Ok("boards"),
        ObjectType::TaskTask => Ok("cards"),
        other => Err(ConnectorError::unsupported(format!("{other} at Trello"))),
    }
}

impl Connector for Trello {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let fields = objects::fields(job.spec.object_type);
        match job.spec.object_type {
            ObjectType::TaskProject => {
                Ok(ask(job.account, "/1/members/me/boards").query("filter", "all").query("fields", fields))
            }
            ObjectType::TaskTask => {
                let path = format!("/1/boards/{}/cards/all", encode_segment(job.parent_id()));
                let request = ask(job.account, path).query("fields", fields).query("limit", job.limit.to_string());
                Ok(request.query_opt("before", job.token()))
            }
            other => Err(ConnectorError::unsupported(format!("listing {other}"))),
        }
    }

    /// Cards come at most 1,000 at once and go on before the id of the oldest. `before` and `limit` are known from other
    /// clients of `cards`, and that the newest come first; the reference of this list names them not.
    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let raws: Vec<&'a RawValue> = response.json()?;
        let is_card = job.spec.object_type == ObjectType::TaskTask;
        let (records, bad) =
            if is_card { read_records(&raws, objects::card) } else { read_records(&raws, objects::board) };
        let is_full = is_card && raws.len() >= job.limit as usize;
        let next = match is_full.then(|| oldest(&raws)).flatten() {
            Some(id) => Next::Token(id),
            None => Next::End,
        };
        Ok(Page { records, bad, next, cursor: None, total: None })
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let path = format!("/1/{}/{}", path(job.spec.object_type)?, encode_segment(job.id));
        Ok(ask(job.account, path).query("fields", objects::fields(job.spec.object_type)))
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if !(200..300).contains(&response.status) {
            return Ok(Found::Gone);
        }
        let raw: &RawValue = response.json()?;
        let record = match job.spec.object_type {
            ObjectType::TaskProject => read_record(raw, objects::board),
            _ => read_record(raw, objects::card),
        };
        record.map(|record| Found::Record(Box::new(record))).map_err(|error| ConnectorError::malformed(error.0))
    }

    fn named_parents(&self, filters: &BTreeMap<String, String>) -> Option<Vec<Parent>> {
        filters.get(BOARD_FILTER).map(|id| vec![Parent { id: id.clone() }])
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        event::read_event(event)
    }

    fn register_request(&self, job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
        hooks::register_request(job)
    }

    fn read_registration(&self, _: &HookJob<'_>, response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
        hooks::read_registration(response)
    }

    fn remove_request(&self, job: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        Ok(hooks::remove_request(job, registration))
    }
}

/// The id of the object that was made first.
fn oldest(raws: &[&RawValue]) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId<'a> {
        #[serde(borrow)]
        id: Id<'a>,
    }
    let ids = raws.iter().filter_map(|raw| serde_json::from_str::<OnlyId<'_>>(raw.get()).ok());
    ids.map(|only| only.id.0.into_owned()).min()
}
