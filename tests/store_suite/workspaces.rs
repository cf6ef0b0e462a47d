use crate::world::{World, at};
use anyhook::secrets::Sealed;
use anyhook::store::{StoreError, Wake, Workspace};
use sha2::{Digest, Sha256};
use std::time::Duration;

fn workspace(world: &World, key: &str) -> Workspace {
    let id = world.workspace_id();
    Workspace::new(id, "Acme", Sha256::digest(format!("{id}{key}")).into(), Sealed::default(), at(0))
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

pub(crate) async fn the_first_workspace_is_made_once(world: &World) {
    let (one, other) = (workspace(world, "a"), workspace(world, "b"));
    let both = [one.clone(), other.clone()].map(|workspace| world.store.insert_first_workspace(workspace));
    let made = futures_util::future::join_all(both).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    assert!(made.contains(&Err(StoreError::Exists("workspace"))));
    assert_eq!(world.store.workspaces(None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn an_old_key_finds_nothing_after_a_replacement(world: &World) {
    let old = workspace(world, "old");
    assert_eq!(world.store.replace_workspace(old.clone()).await, Err(StoreError::Missing("workspace")));
    world.store.insert_workspace(old.clone()).await.unwrap();
    let new = Workspace { key_hash: workspace(world, "new").key_hash, name: "Acme 2".into(), ..old.clone() };
    let kept = world.store.replace_workspace(new.clone()).await.unwrap();
    assert_eq!(kept, Workspace { revision: new.revision + 1, ..new });
    assert_eq!(world.store.workspace_by_key(&old.key_hash).await.unwrap(), None);
    assert_eq!(world.store.workspace_by_key(&kept.key_hash).await.unwrap(), Some(kept));
}

pub(crate) async fn a_changed_workspace_is_told_and_a_change_of_an_older_one_refused(world: &World) {
    let read = workspace(world, "k");
    world.store.insert_workspace(read.clone()).await.unwrap();
    let mut wakes = world.store.wakes();
    let first = Workspace { name: "first".into(), ..read.clone() };
    let kept = world.store.replace_workspace(first).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), wakes.recv()).await;
    assert_eq!(told.expect("it is told"), Ok(Wake::WorkspaceChanged(read.id)));
    let late = Workspace { name: "late".into(), ..read };
    assert_eq!(world.store.replace_workspace(late).await, Err(StoreError::Conflict("workspace")));
    assert_eq!(world.store.workspace(kept.id).await.unwrap(), Some(kept));
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
