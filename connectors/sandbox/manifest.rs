//! What the sandbox is and can do.

use crate::contract::{
    AuthField, AuthMethod, AuthScheme, Change, Conditional, CreatedAt, CursorKind, DateLimits, Deletions, Digest,
    Encoding, FilterBound, Hmac, KeyForm, Listing, Manifest, NativeSpec, ObjectSpec, Order, Paging, RateLimit,
    Registers, SignatureForm, Template, TimestampSource, TokenField, ValueAt, Verification,
};
use crate::model::ObjectType;

pub(super) static MANIFEST: Manifest = Manifest {
    integration: "sandbox",
    name: "Sandbox",
    web_url: "https://anyhook.example/sandbox",
    api_docs_url: "https://anyhook.example/sandbox/api",
    base_url: None,
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Bearer(AuthField::Token),
            fields: &[
                TokenField {
                    field: AuthField::Token,
                    name: "Token",
                    instruction: "A token the simulator accepts: sandbox, unless it was started with others.",
                },
                API_URL,
            ],
        },
        AuthMethod {
            scheme: AuthScheme::OAuth2 {
                authorize_url: "http://127.0.0.1:8090/oauth/authorize",
                token_url: "http://127.0.0.1:8090/oauth/token",
                scopes: "",
            },
            fields: &[
                TokenField {
                    field: AuthField::AccessToken,
                    name: "Access token",
                    instruction: "An answer of the simulator's /oauth/token; with the refresh token it is renewed.",
                },
                API_URL,
            ],
        },
    ],
    headers: &[],
    objects: &[
        spec(ObjectType::CrmCompany, "companies"),
        spec(ObjectType::CrmContact, "contacts"),
        spec(ObjectType::CrmDeal, "deals"),
        spec(ObjectType::TicketingTicket, "tickets"),
    ],
    rate_limit: RateLimit {
        requests: 600,
        per_ms: 60_000,
        description: "600 requests a minute for each token, refilled evenly, unless the simulator was started with \
                      another limit.",
        remaining_header: Some("x-ratelimit-remaining"),
        reset_header: Some("x-ratelimit-reset"),
        ..RateLimit::PLAIN
    },
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "x-sandbox-signature",
            form: SignatureForm::Items { separator: ',', name: "v1" },
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            key: KeyForm::Raw,
            content: Template("{timestamp}.{body}"),
            timestamp: Some(DateLimits { source: TimestampSource::Item("t"), milliseconds: false, tolerance_s: 300 }),
        }),
        delivery_id: Some(ValueAt::Header("x-sandbox-delivery")),
        registers: Registers::OurSecret,
        comparable: true,
        handshake: None,
    }),
};

const API_URL: TokenField = TokenField {
    field: AuthField::ApiUrl,
    name: "URL",
    instruction: "Where the simulator listens, such as http://127.0.0.1:8090.",
};

/// All objects are listed in the same way; only their names differ.
const fn spec(object_type: ObjectType, raw_object: &'static str) -> ObjectSpec {
    ObjectSpec {
        object_type,
        raw_object,
        live: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::UpdatedAscending,
            paging: Paging::Offset,
        },
        history: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::Stable,
            paging: Paging::Token,
        },
        page_size: 100,
        result_window: None,
        late_visibility_ms: 0,
        granularity_ms: 1,
        deletions: Deletions::Flag,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[Change::Created, Change::Updated, Change::Deleted],
        conditional: Conditional::Etag,
    }
}

/// What events call an object: `contact` in `contact.updated`.
const EVENT_NAMES: [(ObjectType, &str); 4] = [
    (ObjectType::CrmCompany, "company"),
    (ObjectType::CrmContact, "contact"),
    (ObjectType::CrmDeal, "deal"),
    (ObjectType::TicketingTicket, "ticket"),
];

/// The type that events call by this name.
pub(super) fn of_event(name: &str) -> Option<ObjectType> {
    EVENT_NAMES.iter().find(|(_, known)| *known == name).map(|(object_type, _)| *object_type)
}

/// What events call this type.
pub(super) fn in_events(object_type: ObjectType) -> Option<&'static str> {
    EVENT_NAMES.iter().find(|(known, _)| *known == object_type).map(|(_, name)| *name)
}
