//! Who can verify what: while secrets are replaced, with a webhook's own, and by GitHub's header.

use crate::harness::{SECRET, World};
use crate::receiver::{Received, Receiver};
use anyhook::log::Found;
use anyhook::store::{DeliverySettings, SigningSecrets, Webhook, Workspace};
use anyhook_connectors::contract::Change;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const NEW: &str = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw==";

/// What a receiver finds that knows this secret alone: whether the header of Standard Webhooks and whether `sig` and
/// `sig256` are good.
fn finds(received: &Received, secret: &str, now: DateTime<Utc>) -> (bool, bool) {
    let independent = standardwebhooks::Webhook::new(secret).unwrap();
    let headers: Vec<_> =
        received.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let report = anyhook::verify::check(&received.body, &headers, secret, now).unwrap();
    let is_good = |name| {
        report
            .checks
            .iter()
            .any(|check| check.name == name && matches!(check.outcome, anyhook::verify::Outcome::Matches(_)))
    };
    assert_eq!(is_good("sig"), is_good("sig256"));
    (independent.verify(&received.body, &received.headers).is_ok(), is_good("sig256"))
}

async fn rotate(world: &World, until: DateTime<Utc>) {
    let store = &world.context.store;
    let row = store.workspace(world.connection.workspace_id).await.unwrap().unwrap();
    let sealed = world.context.vault.seal(&Workspace::seal(row.id), NEW.as_bytes()).unwrap();
    let signing = row.signing.replaced(sealed, world.context.clock.now(), until);
    store.replace_workspace(Workspace { signing, ..row }).await.unwrap();
}

#[tokio::test]
async fn while_a_secret_is_replaced_receivers_of_either_verify() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    let now = || world.context.clock.now();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let before = receiver.until(1).await.remove(0);
    assert_eq!((finds(&before, SECRET, now()), finds(&before, NEW, now())), ((true, true), (false, false)));

    let until = now() + TimeDelta::seconds(15);
    rotate(&world, until).await;
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    let during = receiver.until(2).await.remove(1);
    let signatures: Vec<&str> = during.header("webhook-signature").split(' ').collect();
    assert!(signatures.len() == 2 && signatures.iter().all(|one| one.starts_with("v1,")), "{signatures:?}");
    assert_eq!(finds(&during, SECRET, now()), (true, true), "whoever knows the old one alone goes on");
    assert_eq!(finds(&during, NEW, now()), (true, false));

    // The keys were made while both were live, and the end of the overlap is no change that anyone tells.
    world.context.clock.jump(15_000);
    world.log(webhook.feed_id, Found::Virtual, &["3"]).await;
    let after = receiver.until(3).await.remove(2);
    assert_eq!((finds(&after, SECRET, now()), finds(&after, NEW, now())), ((false, false), (true, true)));
    assert!(!after.header("webhook-signature").contains(' '));
    engine.stop().await;
}

#[tokio::test]
async fn a_webhook_with_its_own_secret_is_signed_by_that_alone() {
    let world = World::new().await;
    let receivers = [Receiver::new().await, Receiver::new().await];
    let shared = world.subscribe(&receivers[0].url).await;
    let own = world.webhook(&receivers[1].url, Change::Updated);
    let sealed = world.context.vault.seal(&Webhook::seal(own.id), NEW.as_bytes()).unwrap();
    let delivery =
        DeliverySettings { signing: Some(SigningSecrets::only(sealed, None)), ..DeliverySettings::default() };
    let own = world.insert(Webhook { delivery, ..own }).await;
    let engine = world.start();
    for (count, id) in [(1, "1"), (2, "2")] {
        world.log(shared.feed_id, Found::Virtual, &[id]).await;
        let now = world.context.clock.now();
        let (one, other) =
            (receivers[0].until(count).await.remove(count - 1), receivers[1].until(count).await.remove(count - 1));
        assert_eq!((finds(&one, SECRET, now), finds(&one, NEW, now)), ((true, true), (false, false)));
        assert_eq!((finds(&other, SECRET, now), finds(&other, NEW, now)), ((false, false), (true, true)));
        let body = String::from_utf8_lossy(&other.body);
        assert!(!body.contains(NEW) && !body.contains("secrets"), "{body}");
    }

    // And back: the next attempt is signed by the workspace again.
    let mut row = world.context.store.webhook(own.id).await.unwrap().unwrap();
    row.delivery.signing = None;
    world.context.store.replace_webhook(row).await.unwrap();
    world.log(shared.feed_id, Found::Virtual, &["3"]).await;
    let back = receivers[1].until(3).await.remove(2);
    assert_eq!(finds(&back, SECRET, world.context.clock.now()), (true, true));
    engine.stop().await;
}

#[tokio::test]
async fn the_header_of_github_signs_the_whole_body_where_it_is_asked_for() {
    let world = World::new().await;
    let receivers = [Receiver::new().await, Receiver::new().await, Receiver::new().await];
    let wants = [None, Some(true), Some(false)];
    let mut feed = None;
    for (receiver, hub_signature) in receivers.iter().zip(wants) {
        let delivery = DeliverySettings { hub_signature, ..DeliverySettings::default() };
        feed = Some(world.insert(Webhook { delivery, ..world.webhook(&receiver.url, Change::Updated) }).await.feed_id);
    }
    let feed = feed.unwrap();
    let engine = world.start();
    world.log(feed, Found::Virtual, &["1"]).await;
    let has = |received: &Received| {
        received.headers.get("x-hub-signature-256").map(|value| {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
            mac.update(&received.body);
            assert_eq!(value.to_str().unwrap(), format!("sha256={}", hex::encode(mac.finalize().into_bytes())));
        })
    };
    let mut found = Vec::new();
    for receiver in &receivers {
        found.push(has(&receiver.until(1).await[0]).is_some());
    }
    assert_eq!(found, [false, true, false], "none unless asked for");

    let row = world.context.store.workspace(world.connection.workspace_id).await.unwrap().unwrap();
    let delivery = DeliverySettings { hub_signature: Some(true), ..row.delivery.clone() };
    world.context.store.replace_workspace(Workspace { delivery, ..row }).await.unwrap();
    world.log(feed, Found::Virtual, &["2"]).await;
    let mut found = Vec::new();
    for receiver in &receivers {
        found.push(has(&receiver.until(2).await[1]).is_some());
    }
    assert_eq!(found, [true, true, false], "the workspace's wish holds where the webhook has none");
    engine.stop().await;
}
