//! Plans of chance. What stands first in a choice is what a failing life is simplified towards.

use crate::nodes::{Does, NODES_MAX, NodeAct};
use crate::plan::{Act, Answer, Plan, Step, Trouble, Ways};
use crate::support::vendors;
use anyhook_connectors::contract::Change;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Steps of a life at most, its end and its first subscriber apart.
const STEPS_MAX: usize = 60;

const VENDORS: &[&str] = &[
    "sandbox",
    vendors::NEWEST_FIRST,
    vendors::WHOLE,
    vendors::LATE,
    vendors::SECONDS,
    vendors::EXCLUSIVE,
    vendors::BY_TIME,
    vendors::UNFILTERED,
    vendors::UNDATED,
];

/// Lives of this seed: one of four is a fleet's.
pub fn plans(seed: u64) -> BoxedStrategy<Plan> {
    let is_fleet = seed % 4 == 3;
    let act = if is_fleet { act(nodes().boxed()) } else { act(engine().boxed()) };
    let plan = (ways(seed), subscribe(), vec(step(act), 4..STEPS_MAX)).prop_map(|(ways, first, mut steps)| {
        steps.insert(0, Step { act: first, then_ms: 0 });
        Plan { ways, steps }
    });
    if !is_fleet {
        return plan.boxed();
    }
    (plan, 2..=NODES_MAX, vec(subscribe(), 1..3))
        .prop_map(|(mut plan, nodes, others)| {
            plan.ways.nodes = nodes;
            plan.steps.splice(1..1, others.into_iter().map(|act| Step { act, then_ms: 0 }));
            plan
        })
        .boxed()
}

fn ways(seed: u64) -> impl Strategy<Value = Ways> {
    let vendor = (
        select(VENDORS),
        select(&[0, 5, 40, 120][..]),
        select(&[100, 10][..]),
        prop_oneof![6 => Just(0), 1 => -4_000..4_000i64],
        prop_oneof![6 => Just(0), 1 => 20..60u32],
        prop_oneof![6 => Just(100), 1 => Just(5)],
    );
    let sizes = (
        select(&[5, 300][..]),
        select(&[0, 3_000][..]),
        select(&[160 << 10, 500][..]),
        select(&[10_000, 2][..]),
        select(&[1, 8][..]),
        select(&[8, 1][..]),
        select(&[100, 3][..]),
    );
    (vendor, sizes).prop_map(move |(vendor, sizes)| {
        let (vendor, records, page, ahead_s, calls, budget_percent) = vendor;
        let (
            latency_ms,
            store_latency_us,
            log_page_bytes,
            pages_per_run,
            commits_in_flight,
            spool_pages,
            batch_records,
        ) = sizes;
        Ways {
            seed,
            vendor,
            records,
            page,
            ahead_s,
            calls,
            budget_percent,
            latency_ms,
            store_latency_us,
            log_page_bytes,
            pages_per_run,
            commits_in_flight,
            spool_pages,
            batch_records,
            nodes: 1,
        }
    })
}

fn step(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Step> {
    (act, prop_oneof![2 => 0..500u64, 1 => 0..40_000u64]).prop_map(|(act, then_ms)| Step { act, then_ms })
}

fn act(engine: BoxedStrategy<Act>) -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Wait),
        45 => change(),
        12 => vendor(),
        8 => answers(),
        14 => webhook(),
        16 => engine,
        3 => Just(Act::Calm),
    ]
}

fn which() -> impl Strategy<Value = u32> {
    0..1_000u32
}

fn change() -> impl Strategy<Value = Act> {
    let count = prop_oneof![12 => 1..5u32, 2 => Just(30), 1 => Just(130)];
    prop_oneof![
        18 => (count, weighted(0.05)).prop_map(|(count, of_the_future)| Act::Create { count, of_the_future }),
        22 => (which(), 1..6u32).prop_map(|(which, count)| Act::Update { which, count }),
        7 => which().prop_map(|which| Act::Delete { which }),
        3 => which().prop_map(|which| Act::Undelete { which }),
    ]
}

fn vendor() -> impl Strategy<Value = Act> {
    let wrong = (trouble(), option::of(1..6u32));
    prop_oneof![
        4 => Just(Act::Right),
        8 => wrong.prop_map(|(trouble, count)| Act::Wrong { trouble, count }),
        1 => (0..7_200i64).prop_map(|by_s| Act::VendorClock { by_s }),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => select(&[500, 503, 410, 401][..]).prop_map(Trouble::Status),
        2 => select(&[Some(20), Some(0), None][..]).prop_map(Trouble::TooMany),
        1 => Just(Trouble::Truncated),
        1 => Just(Trouble::Html),
        1 => Just(Trouble::Slow(5_000)),
        1 => Just(Trouble::Hang),
        1 => Just(Trouble::Reset),
        1 => select(&[-7i64, 7][..]).prop_map(Trouble::LengthOff),
        1 => Just(Trouble::ExpiredToken),
        1 => Just(Trouble::ExpiredCursor),
        1 => Just(Trouble::IgnoredFilter),
        1 => Just(Trouble::DuplicatedIds),
        1 => Just(Trouble::BadRecord),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    select(
        &[
            Answer::Ok,
            Answer::Ok,
            Answer::Status(500),
            Answer::Status(410),
            Answer::Later(503, 30),
            Answer::Hang,
            Answer::Slow(3_000),
            Answer::Reset,
        ][..],
    )
}

fn answers() -> impl Strategy<Value = Act> {
    let then = prop_oneof![1 => Just(Answer::Ok), 1 => answer()];
    (which(), vec(answer(), 0..4), then).prop_map(|(which, script, then)| Act::Answers { which, script, then })
}

fn every_s() -> impl Strategy<Value = u64> {
    select(&[5, 20, 60][..])
}

fn subscribe() -> impl Strategy<Value = Act> {
    let event = select(&[Change::Updated, Change::Updated, Change::Created, Change::Deleted][..]);
    let limit = select(&[None, Some(1), Some(7)][..]);
    (event, every_s(), any::<bool>(), limit, weighted(0.3)).prop_map(|(event, every_s, include_all, limit, raw)| {
        Act::Subscribe { event, every_s, include_all, limit, raw }
    })
}

fn webhook() -> impl Strategy<Value = Act> {
    let ago = || option::of(0..60i64);
    prop_oneof![
        4 => subscribe(),
        2 => which().prop_map(|which| Act::Unsubscribe { which }),
        1 => (which(), every_s(), any::<bool>()).prop_map(|(which, every_s, raw)| Act::Reshape { which, every_s, raw }),
        3 => (which(), any::<bool>()).prop_map(|(which, is_paused)| Act::Pause { which, is_paused }),
        1 => any::<bool>().prop_map(|is_paused| Act::PauseConnection { is_paused }),
        2 => which().prop_map(|which| Act::Ping { which }),
        2 => (which(), ago(), ago()).prop_map(|(which, from_s, until_s)| Act::Backfill { which, from_s, until_s }),
        1 => which().prop_map(|which| Act::CancelBackfill { which }),
    ]
}

fn engine() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Restart),
        3 => Just(Act::Crash),
        5 => (0..60i64, any::<bool>()).prop_map(|(calls, is_kept)| Act::CrashAtCall { calls, is_kept }),
        2 => any::<bool>().prop_map(|is_away| Act::Disk { is_away }),
        2 => (0..40_000u64).prop_map(|ms| Act::LoseLeases { ms }),
        1 => Just(Act::TakeOver),
        3 => (-7_200..7_200i64).prop_map(|by_s| Act::OurClock { by_s }),
    ]
}

/// What happens to a fleet.
fn nodes() -> impl Strategy<Value = Act> {
    let off_s = || prop_oneof![3 => Just(0), 1 => -7_200..7_200i64];
    let does = select(&[Does::Everything, Does::Everything, Does::Everything, Does::Polling, Does::Delivering][..]);
    let node = prop_oneof![
        6 => (does, off_s()).prop_map(|(does, off_s)| NodeAct::Join { does, off_s }),
        3 => which().prop_map(|which| NodeAct::Leave { which }),
        3 => which().prop_map(|which| NodeAct::Crash { which }),
        4 => (which(), 0..70_000u64).prop_map(|(which, ms)| NodeAct::Stall { which, ms }),
        2 => (which(), any::<bool>()).prop_map(|(which, is_cut_off)| NodeAct::CutOff { which, is_cut_off }),
        1 => (which(), -7_200..7_200i64).prop_map(|(which, by_s)| NodeAct::Clock { which, by_s }),
    ];
    prop_oneof![
        17 => node.prop_map(Act::Node),
        3 => (0..60i64, any::<bool>()).prop_map(|(calls, is_kept)| Act::CrashAtCall { calls, is_kept }),
        1 => any::<bool>().prop_map(|is_away| Act::Disk { is_away }),
    ]
}
