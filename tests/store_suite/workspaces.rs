use crate::world::{World, at};
use anyhook::store::{DeliverySettings, SignatureEncoding, StoreError, Workspace};
use sha2::{Digest, Sha256};

fn workspace(world: &World, key: &str) -> Workspace {
    let id = world.workspace_id();
    Workspace {
        id,
        name: "Acme".into(),
        created_at: at(0),
        key_hash: Sha256::digest(format!("{id}{key}")).into(),
        secret: Default::default(),
        signature_encoding: SignatureEncoding::Base64,
        delivery: DeliverySettings::default(),
    }
}

pub(crate) async fn the_store_key_is_made_once(world: &World) {
    let first = world.store.store_key([1; 32]).await.unwrap();
    assert_eq!(world.store.store_key([2; 32]).await.unwrap(), first);
}

pub(crate) async fn ids_and_key_hashes_are_taken_once(world: &World) {
    let first = workspace(world, "a");
    world.store.insert_workspace(first.clone()).await.unwrap();
    assert_eq!(world.store.insert_workspace(first.clone()).await, Err(StoreError::Exists("workspace")));
    let same_key = Workspace { key_hash: first.key_hash, ..workspace(world, "b") };
    assert_eq!(world.store.insert_workspace(same_key.clone()).await, Err(StoreError::Exists("workspace")));
    assert_eq!(world.store.workspace(same_key.id).await.unwrap(), None);
    assert_eq!(world.store.workspace(first.id).await.unwrap(), Some(first));
}

pub(crate) async fn an_old_key_finds_nothing_after_a_replacement(world: &World) {
    let old = workspace(world, "old");
    assert_eq!(world.store.replace_workspace(old.clone()).await, Err(StoreError::Missing("workspace")));
    world.store.insert_workspace(old.clone()).await.unwrap();
    let new = Workspace { key_hash: workspace(world, "new").key_hash, name: "Acme 2".into(), ..old.clone() };
    world.store.replace_workspace(new.clone()).await.unwrap();
    assert_eq!(world.store.workspace_by_key(&old.key_hash).await.unwrap(), None);
    assert_eq!(world.store.workspace_by_key(&new.key_hash).await.unwrap(), Some(new));
}

pub(crate) async fn a_list_goes_on_behind_an_id(world: &World) {
    let mut made = Vec::new();
    for _ in 0..5 {
        let workspace = workspace(world, "k");
        world.store.insert_workspace(workspace.clone()).await.unwrap();
        made.push(workspace.id);
    }
    made.sort_unstable();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.workspaces(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.id);
        listed.extend(page.iter().map(|workspace| workspace.id).filter(|id| made.contains(id)));
    }
    assert_eq!(listed, made);
}
