//! What makes a version of a record.

use super::support::{Setup, vendors};
use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn p17_fields_change_without_the_record() {
    let volatile = FaultRule::always(Fault::VolatileFields {});
    let (world, ..) = listening_under(Setup::contacts(30), vendors::VOLATILE, vec![volatile]).await;
    let mut ids = world.create_many(4);
    world.run_for(30 * MINUTE).await;
    assert_told_once(&world, &ids, "though the last ones are listed at every poll, with other fields");
    world.update(&ids[3], json!({"title": "Captain"}));
    ids.push(ids[3].clone());
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL").len(), ids.len(), "what changes in earnest is told");
}
