use crate::destinations::{listening, to};
use crate::world::{World, at};
use anyhook::store::{
    ApiCall, Attempt, AttemptFinish, CallKind, ChangeCounts, Fence, Figures, Insight, InsightQuery, JobMode,
    ListingCommit, NotificationEvent, NotificationQuery, Outcome, Position, Resolution, RunFinish, Span, Stream,
    Webhook,
};
use anyhook_connectors::model::ObjectType;

/// `at(0)` is 800 s into its hour, and 80,000 s into its day.
const HOUR: i64 = 3_600;

fn query(webhook: &Webhook, resolution: Resolution) -> InsightQuery {
    InsightQuery {
        connection_id: webhook.connection_id,
        resolution,
        object_type: None,
        since: None,
        is_ascending: true,
        offset: 0,
        limit: 100,
    }
}

async fn list(world: &World, query: InsightQuery) -> Vec<Insight> {
    world.store.insights(&query).await.unwrap()
}

async fn run(world: &World, webhook: &Webhook, fence: Fence, seconds: i64, name: &str, error: Option<&str>) {
    let call = world.call(webhook, CallKind::Inbound, seconds);
    let changes = Some(ChangeCounts { created: 1, updated: 2, deleted: 0 });
    let call = ApiCall { name: name.into(), records: 3, changes, requests: 2, error: error.map(Into::into), ..call };
    let finish = RunFinish { call: Some(call), ..world.run_finish(webhook, fence, 600) };
    world.store.finish_run(finish).await.unwrap();
}

async fn attempt(world: &World, webhook: &Webhook, fence: Fence, seconds: i64, lag_ms: Option<u64>) {
    let place = Position::default();
    let note = Attempt { lag_ms, ..Attempt::of(Stream::Live, Span { from: place, to: place }) };
    let call = ApiCall {
        name: "task_task VIRTUAL".into(),
        delivery: Some("msg_1".into()),
        error: lag_ms.is_none().then(|| "refused".into()),
        attempt: Some(Box::new(note)),
        ..world.call(webhook, CallKind::Webhook, seconds)
    };
    let outcome = Outcome::Passed { stream: Stream::Live, position: place };
    let finish = AttemptFinish { call: Some(call), ..world.attempt(webhook, fence, outcome) };
    world.store.finish_attempt(finish).await.unwrap();
}

pub(crate) async fn runs_and_attempts_are_added_up_by_hour_and_day(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    run(world, &webhook, fence, 0, "task_task", None).await;
    run(world, &webhook, fence, 10, "task_task", Some("down")).await;
    run(world, &webhook, fence, 15, "task_task", None).await;
    attempt(world, &webhook, fence, 20, Some(40)).await;
    attempt(world, &webhook, fence, 30, Some(60)).await;
    attempt(world, &webhook, fence, 40, None).await;
    run(world, &webhook, fence, HOUR, "task_task", None).await;
    // Of another type, and what is neither a run nor an attempt.
    run(world, &webhook, fence, 50, "task_project", None).await;
    world.store.record_call(world.call(&webhook, CallKind::Login, 60)).await.unwrap();

    let only = InsightQuery { object_type: Some(ObjectType::TaskTask), ..query(&webhook, Resolution::Hour) };
    let hours = list(world, only).await;
    let [first, second] = &hours[..] else { panic!("{hours:?}") };
    let Figures { runs, failed_runs, requests, changes, kinds, deliveries, records, failures, lags } = first.figures;
    assert_eq!((runs, failed_runs, requests, changes), (3, 1, 6, 9));
    assert_eq!((kinds.created, kinds.updated, kinds.deleted), (3, 6, 0));
    assert_eq!((deliveries, records, failures), (2, 2, 1));
    assert_eq!((lags.count, lags.sum_ms, lags.max_ms, lags.at_percent(50)), (2, 100, 60, Some(60)));
    assert_eq!((first.from.timestamp(), first.to()), (1_699_999_200, second.from));
    assert_eq!((second.figures.runs, second.figures.changes), (1, 3));
    let days = list(world, query(&webhook, Resolution::Day)).await;
    let shown: Vec<_> = days.iter().map(|day| (day.object_type.as_str(), day.figures.runs)).collect();
    assert_eq!(shown, [("task_project", 1), ("task_task", 4)]);
    assert_eq!(days[1].figures.lags, lags);
}

pub(crate) async fn requests_of_listings_are_counted(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let job = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(job.clone()).await.unwrap();
    for requests in [3, 0, 2] {
        let commit = ListingCommit { requests, ..world.listing(&job, fence, &["page"]) };
        world.store.commit_listing(commit).await.unwrap();
    }
    for resolution in [Resolution::Hour, Resolution::Day] {
        let spans = list(world, query(&webhook, resolution)).await;
        let [only] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(
            (only.object_type, only.figures),
            (webhook.object_type, Figures { requests: 5, ..Figures::default() })
        );
    }
}

pub(crate) async fn lists_of_insights_come_in_parts(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for hour in 0..4 {
        run(world, &webhook, fence, hour * HOUR, "task_task", None).await;
    }
    let hours = async |query: InsightQuery| -> Vec<i64> {
        list(world, query).await.iter().map(|hour| (hour.from.timestamp() - 1_699_999_200) / HOUR).collect()
    };
    let all = || query(&webhook, Resolution::Hour);
    assert_eq!(hours(all()).await, [0, 1, 2, 3]);
    assert_eq!(hours(InsightQuery { is_ascending: false, limit: 2, offset: 1, ..all() }).await, [2, 1]);
    assert_eq!(hours(InsightQuery { since: Some(at(2 * HOUR)), ..all() }).await, [2, 3]);
    let other = world.webhook().await;
    assert!(list(world, query(&other, Resolution::Hour)).await.is_empty());
    world.store.delete_connection(webhook.connection_id, at(0)).await.unwrap();
    assert!(list(world, all()).await.is_empty());
}

pub(crate) async fn old_hours_and_days_make_room(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for hour in [0, 1, 2, 3, 4, 5, 60] {
        run(world, &webhook, fence, hour * HOUR, "task_task", None).await;
        let hours = list(world, query(&webhook, Resolution::Hour)).await;
        assert!(hours.len() <= 4, "{hours:?}");
    }
    let hours = list(world, query(&webhook, Resolution::Hour)).await;
    assert_eq!(hours.len(), 1, "those before are older than four hours");
    let days = list(world, query(&webhook, Resolution::Day)).await;
    assert_eq!(days.iter().map(|day| day.figures.runs).collect::<Vec<_>>(), [4, 1], "as many days as are kept");
}

pub(crate) async fn an_hour_is_told_once_it_is_over(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let told = async || {
        let query = NotificationQuery { is_ascending: true, limit: 100, ..NotificationQuery::default() };
        let mut told = world.store.notifications(webhook.workspace_id, &query).await.unwrap();
        told.retain(|new| new.event == NotificationEvent::InsightPopulated);
        told
    };
    run(world, &webhook, fence, 0, "task_task", None).await;
    run(world, &webhook, fence, HOUR, "task_task", None).await;
    assert!(told().await.is_empty(), "nobody listens");
    listening(world, webhook.workspace_id, &[to(&["INSIGHT_POPULATED"])]).await;
    run(world, &webhook, fence, HOUR + 1, "task_task", None).await;
    assert!(told().await.is_empty(), "the hour is not over");
    run(world, &webhook, fence, 3 * HOUR, "task_task", None).await;
    run(world, &webhook, fence, 3 * HOUR + 1, "task_task", None).await;
    run(world, &webhook, fence, 3 * HOUR + 2, "task_project", None).await;
    let told = told().await;
    let [new] = &told[..] else { panic!("{told:?}") };
    assert_eq!((new.connection_id, new.object_type), (Some(webhook.connection_id), Some(ObjectType::TaskTask)));
    let details = new.details.as_ref().unwrap();
    assert_eq!((details.changes, details.requests), (Some(6), Some(4)));
    assert_eq!(details.kinds, Some(ChangeCounts { created: 2, updated: 4, deleted: 0 }));
    assert_eq!(details.began_at.unwrap().timestamp(), 1_699_999_200 + HOUR);
}
