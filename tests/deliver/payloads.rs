//! What a payload holds, and in which order payloads come.

use crate::harness::{SECRET, World};
use crate::receiver::Receiver;
use anyhook::log::Found;
use anyhook::store::{Position, SignatureEncoding, Webhook, Workspace};
use anyhook_connectors::contract::Change;
use std::collections::HashSet;

#[tokio::test]
async fn batches_come_in_order_signed_and_cut_as_asked() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = Webhook { page_max_limit: Some(2), ..world.webhook(&receiver.url, Change::Updated) };
    let webhook = world.insert(webhook).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2", "3"]).await;
    world.log(webhook.feed_id, Found::Native, &["4"]).await;
    world.log(webhook.feed_id, Found::Virtual, &["5", "6"]).await;
    let seen = receiver.until(4).await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1 2", "VIRTUAL 3", "NATIVE 4", "VIRTUAL 5 6"]);

    let independent = standardwebhooks::Webhook::new(SECRET).unwrap();
    for attempt in &seen {
        independent.verify(&attempt.body, &attempt.headers).unwrap();
        let headers: Vec<_> = attempt
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let report = anyhook::verify::check(&attempt.body, &headers, SECRET, world.context.clock.now()).unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!(attempt.header("content-type"), "application/json");
    }
    let numbers: Vec<u64> = seen.iter().map(|attempt| attempt.header("anyhook-sequence").parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let ids: HashSet<_> = seen.iter().map(|attempt| attempt.header("webhook-id")).collect();
    assert_eq!(ids.len(), 4);

    world.until(webhook.id, |state| state.delivered == 4).await;
    let call = &world.calls(webhook.id).await[0];
    assert_eq!((call.name.as_str(), call.status, call.records, call.requests), ("crm_contact VIRTUAL", 200, 2, 1));
    assert_eq!(call.path, receiver.url.trim_end_matches("?token=secret"));
    assert_eq!(call.delivery.as_deref(), Some(seen[0].header("webhook-id")));
    assert_eq!(call.size_bytes, seen[0].body.len() as u64);
    engine.stop().await;
}

#[tokio::test]
async fn the_body_is_the_contracts() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let fields = vec!["name".to_owned(), "raw".to_owned()];
    let webhook = world.insert(Webhook { fields, ..world.webhook(&receiver.url, Change::Updated) }).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let body = String::from_utf8(receiver.until(1).await[0].body.to_vec()).unwrap();
    let data = r#"{"data":[{"id":"1","name":"Name of 1","raw":{"vendor_id":"1"}}],"webhook":{"id":""#;
    assert!(body.starts_with(&format!("{data}{}\"", webhook.id)), "{body}");
    assert!(body.ends_with(r#""type":"VIRTUAL","external_xref":"their-ref"}"#), "{body}");
    engine.stop().await;
}

#[tokio::test]
async fn each_event_gets_its_changes_and_passes_over_the_rest() {
    let world = World::new().await;
    let receivers = [Receiver::new().await, Receiver::new().await, Receiver::new().await];
    let mut webhooks = Vec::new();
    for (receiver, event) in receivers.iter().zip([Change::Created, Change::Updated, Change::Deleted]) {
        webhooks.push(world.insert(world.webhook(&receiver.url, event)).await);
    }
    let engine = world.start();
    let feed = webhooks[0].feed_id;
    world.log_changes(feed, Found::Virtual, &[("1", Change::Created), ("2", Change::Updated)]).await;
    world.log_changes(feed, Found::Virtual, &[("3", Change::Updated)]).await;
    world.log_changes(feed, Found::Virtual, &[("1", Change::Deleted)]).await;
    let end = Position { sequence: world.context.store.log_head(feed).await.unwrap().end, offset: 0 };
    for webhook in &webhooks {
        world.until(webhook.id, |state| state.position == end).await;
    }
    assert_eq!(receivers[0].shown(), ["VIRTUAL 1"]);
    assert_eq!(receivers[1].shown(), ["VIRTUAL 1 2", "VIRTUAL 3"]);
    assert_eq!(receivers[2].shown(), ["VIRTUAL 1"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_changed_workspace_signs_the_next_delivery() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    receiver.until(1).await;
    let workspace = world.context.store.workspace(webhook.workspace_id).await.unwrap().unwrap();
    let changed = Workspace { signature_encoding: SignatureEncoding::Hex, ..workspace };
    world.context.store.replace_workspace(changed).await.unwrap();
    // The hub hears of both in this order.
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    let seen = receiver.until(2).await;
    let lengths: Vec<usize> = seen.iter().map(|attempt| attempt.json()["sig256"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [44, 64]);
    engine.stop().await;
}
