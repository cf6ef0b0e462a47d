//! Webhooks that GitHub pushes (docs.github.com, "Webhook events and payloads").

use super::reference::repo_matches;
use super::{issues, pulls, repositories};
use crate::contract::{Arrival, Change, ConnectorError, NativeEvent, Record};
use crate::json::Text;
use crate::model::{ObjectType, RepoRepository};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The parts of the payloads that matter here.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    repository: Option<&'a RawValue>,
    #[serde(borrow)]
    issue: Option<&'a RawValue>,
    #[serde(borrow)]
    pull_request: Option<&'a RawValue>,
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
    /// Of a push: what was pushed to.
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    /// Of a push: whether it deleted the branch.
    #[serde(default)]
    deleted: bool,
}

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let Some(name) = event.headers.get("x-github-event") else {
        return Ok(vec![Arrival::Ignore]);
    };
    let is_form =
        event.headers.get("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return read_payload(name, serde_json::from_slice(event.body)?);
    }
    let payload = url::form_urlencoded::parse(event.body)
        .find_map(|(field, value)| (field == "payload").then_some(value))
        .ok_or_else(|| ConnectorError::malformed("a form without the field payload"))?;
    Ok(read_payload(name, serde_json::from_str(&payload)?)?.into_iter().map(unborrowed).collect())
}

fn read_payload<'a>(event: &str, payload: Payload<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    match event {
        "issues" => read_issue(&payload),
        "pull_request" => read_pull(&payload),
        "repository" => read_repository(&payload),
        "push" => Ok(read_push(&payload)),
        _ => Ok(vec![Arrival::Ignore]),
    }
}

/// A transferred issue has another id where it now lives, and is gone where it was. Not every action carries the whole
/// issue (`pinned` leaves out its state): then it is polled.
fn read_issue<'a>(payload: &Payload<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let raw = part(payload.issue, "issue")?;
    if issues::pull_request(raw).is_some() {
        return Ok(vec![Arrival::Ignore]);
    }
    let Ok(record) = issues::read_one(raw) else {
        return Ok(vec![Arrival::PollNow(ObjectType::TaskTask)]);
    };
    Ok(match payload.action.as_ref().map_or("", |action| &*action.0) {
        "opened" => vec![arrival(ObjectType::TaskTask, Change::Created, record)],
        "deleted" => vec![arrival(ObjectType::TaskTask, Change::Deleted, record)],
        "transferred" => {
            vec![arrival(ObjectType::TaskTask, Change::Deleted, record), Arrival::PollNow(ObjectType::TaskTask)]
        }
        _ => vec![arrival(ObjectType::TaskTask, Change::Updated, record)],
    })
}

fn read_pull<'a>(payload: &Payload<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let Ok(record) = pulls::read_one(part(payload.pull_request, "pull_request")?) else {
        return Ok(vec![Arrival::PollNow(ObjectType::RepoPullrequest)]);
    };
    let is_new = payload.action.as_ref().is_some_and(|action| action.0 == "opened");
    let change = if is_new { Change::Created } else { Change::Updated };
    Ok(vec![arrival(ObjectType::RepoPullrequest, change, record)])
}

/// A renamed or transferred repository has another id, and is gone under its former one.
fn read_repository<'a>(payload: &Payload<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let Ok(record) = repositories::read_one(part(payload.repository, "repository")?) else {
        return Ok(vec![Arrival::PollNow(ObjectType::RepoRepository)]);
    };
    let change = match payload.action.as_ref().map_or("", |action| &*action.0) {
        "created" => Change::Created,
        "deleted" => Change::Deleted,
        _ => Change::Updated,
    };
    let former = payload.changes.and_then(|changes| former_name(changes, &record.id));
    let mut arrivals = vec![arrival(ObjectType::RepoRepository, change, record)];
    if let Some(id) = former {
        arrivals.push(arrival(ObjectType::RepoRepository, Change::Deleted, former_repository(id)?));
    }
    Ok(arrivals)
}

/// Commits of a push have neither both dates nor the parents and accounts of listed ones, and there are at most 2,048
/// of them: a branch that moved is polled. Tags and deleted branches bring nothing to list.
fn read_push<'a>(payload: &Payload<'a>) -> Vec<Arrival<'a>> {
    let is_branch = payload.reference.as_ref().is_some_and(|name| name.0.starts_with("refs/heads/"));
    vec![if is_branch && !payload.deleted { Arrival::PollNow(ObjectType::RepoCommit) } else { Arrival::Ignore }]
}

/// What a repository was called before `changes`, if they renamed or transferred it.
fn former_name(changes: &RawValue, now: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Changes<'a> {
        #[serde(borrow)]
        repository: Option<Renamed<'a>>,
        #[serde(borrow)]
        owner: Option<From<Owners<'a>>>,
    }
    #[derive(Deserialize)]
    struct Renamed<'a> {
        #[serde(borrow)]
        name: From<Text<'a>>,
    }
    #[derive(Deserialize)]
    struct From<T> {
        from: T,
    }
    #[derive(Deserialize)]
    struct Owners<'a> {
        #[serde(borrow)]
        user: Option<Login<'a>>,
        #[serde(borrow)]
        organization: Option<Login<'a>>,
    }
    #[derive(Deserialize)]
    struct Login<'a> {
        #[serde(borrow)]
        login: Text<'a>,
    }
    let changes: Changes<'_> = serde_json::from_str(changes.get()).ok()?;
    let (owner, name) = now.split_once('/')?;
    let former = match (changes.repository, changes.owner) {
        (Some(renamed), _) => format!("{owner}/{}", renamed.name.from.0),
        (None, Some(owners)) => format!("{}/{name}", owners.from.user.or(owners.from.organization)?.login.0),
        (None, None) => return None,
    };
    (former != now).then_some(former)
}

/// All that is known of a repository under a name it no longer has.
fn former_repository(id: String) -> Result<Record<'static>, ConnectorError> {
    let object = serde_json::to_vec(&RepoRepository { id: Cow::Borrowed(&id), ..RepoRepository::default() })?;
    Ok(Record {
        id: id.into(),
        updated_at: None,
        created_at: None,
        deleted: true,
        revision: None,
        object,
        raw: "{}".into(),
    })
}

fn part<'a>(part: Option<&'a RawValue>, name: &str) -> Result<&'a RawValue, ConnectorError> {
    part.ok_or_else(|| ConnectorError::malformed(format!("an event without its {name}")))
}

fn arrival<'a>(object_type: ObjectType, change: Change, mut record: Record<'a>) -> Arrival<'a> {
    record.deleted = change == Change::Deleted;
    let repo = record.id.split_once('#').map_or(&*record.id, |(repo, _)| repo);
    let matches = repo_matches(repo);
    Arrival::Record { object_type, change, record: Box::new(record), matches, parent: None }
}

/// What a form says borrows from nothing that outlives it: deletions are carried with what the unified object holds,
/// everything else is polled.
fn unborrowed(arrival: Arrival<'_>) -> Arrival<'static> {
    match arrival {
        Arrival::Record { object_type, change: Change::Deleted, record, matches, parent } => Arrival::Record {
            object_type,
            change: Change::Deleted,
            record: Box::new(Record {
                id: record.id.into_owned().into(),
                updated_at: record.updated_at,
                created_at: record.created_at,
                deleted: true,
                revision: None,
                object: record.object,
                raw: "{}".into(),
            }),
            matches,
            parent,
        },
        Arrival::Record { object_type, .. } | Arrival::PollNow(object_type) => Arrival::PollNow(object_type),
        Arrival::Ignore => Arrival::Ignore,
    }
}
