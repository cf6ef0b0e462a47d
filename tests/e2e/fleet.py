"""Several nodes on one PostgreSQL: killed, stopped, cut off, with their database restarted and vexed, under load.

All the while the vendor creates, changes and deletes records, webhooks ask for their history, and the receiver fails at
times. Each test is a fault, with what must hold while it lasts and how soon the work goes on; the last one looks at what
came of all of it (promises.py), and at what two nodes did at once: nothing. E2E_SEED repeats a run's moments as far as
time repeats; E2E_FLEET_KILLS makes it longer.
"""

import contextlib
import os
import signal
import statistics
import threading
import time

from lib import check, equal, short, wait_until
from nodes import (
    INTERVAL_S,
    LOOK_S,
    TAKEOVER_S,
    TTL_S,
    asking,
    begin_work,
    figure,
    hook,
    logs,
    pid_of,
    shards,
    vendor_and_receiver,
    wait_for_all,
    wait_for_work,
)
from postgres import own_disk, postgres
from promises import check_all, fails, is_complete, settle
from proxy import proxy

KILLS = int(os.environ.get("E2E_FLEET_KILLS", "45"))
# A kill at any moment comes so long after the one before.
KILL_EVERY_S = (0.1, 1.2)

# The row that a transaction locks in which a node says that it lives: behind those of 64 shards (store/postgres/locks.rs).
LIVES = "anyhook.locks WHERE id = 64"


@contextlib.contextmanager
def world():
    """Three nodes with work for each, the last of them with a way to the database that can be cut."""
    with (
        own_disk() as disk,
        postgres(disk) as database,
        proxy(database.port) as way,
        vendor_and_receiver() as run,
    ):
        run.database, run.way, run.kills = database, way, 0
        for url in (database.url, database.url, database.url_through(way.port)):
            run.fleet.start(url)
        begin_work(run)
        yield run
        print(f"       {run.kills} kills", flush=True)


def kill(run, node):
    run.kills += 1
    node.kill()
    return time.monotonic()


def wait_for_takeover(run, pid, work, since, within_s):
    """Waits until others do what a process did, and answers how long it took for each part of it."""
    times = lambda: {key: run.seen.first(key, since, but=pid) for key in work}
    state = lambda: (times(), since, run.fleet.process.tail(15))
    wait_until(lambda: None not in times().values(), f"others do {sorted(work)}", within_s, state)
    took = [at - since for at in times().values()]
    check(max(took) <= within_s, f"others did it after {max(took):.1f} s, not {within_s:.1f} s: {times()}")
    return took


def busy_work(run, node):
    """What a node does, of which there is some."""
    find = lambda: run.seen.work_of(pid_of(node), 2 * INTERVAL_S)
    wait_until(lambda: {key[0] for key in find()} == {"poll", "deliver"}, "the node has work", TAKEOVER_S, lambda: (shards(run), node.process.tail(20)))
    return {key for key in find() if not key[1].startswith("contacts-deleted")}


def test_every_node_has_its_share(run):
    figure("every node works after", [wait_for_work(run, node) for node in run.fleet.nodes])


def test_what_a_killed_node_did_is_taken_over(run):
    """Nobody starts it again before the others have taken its shards."""
    took = {"poll": [], "deliver": []}
    for turn in range(5):
        node = run.fleet.nodes[turn % 3]
        work, pid = busy_work(run, node), pid_of(node)
        since = kill(run, node)
        for kind, times in took.items():
            of_kind = {key for key in work if key[0] == kind}
            times += wait_for_takeover(run, pid, of_kind, since, TAKEOVER_S)
        node.start()
        wait_for_work(run, node)
    for kind, times in took.items():
        figure(f"taken over ({kind}) after", times)


def test_killed_again_and_again(run):
    """Nodes are killed at any moment and started at once; there is always a history under way."""
    for turn in range(KILLS):
        run.receiver.rule = fails(run, run.chance.choice([0.0, 0.1, 0.5]))
        if all(is_complete(run, made) for made in run.hooks if made.include_all):
            hook(run, run.chance.choice(run.connections), ["contacts", "deals"][turn % 2], "updated", True)
        threading.Event().wait(run.chance.uniform(*KILL_EVERY_S))
        node = run.chance.choice(run.fleet.nodes)
        kill(run, node)
        node.start()
    run.receiver.rule = fails(run, 0.1)
    figure("all goes on after", [wait_for_all(run, 2 * TAKEOVER_S)])


def test_nodes_join_and_leave(run):
    """One that joins gets its share; one that is told to leave gives its work to the others at once."""
    joined, left = [], []
    for _ in range(2):
        node = run.fleet.start(run.database.url)
        joined.append(wait_for_work(run, node))
        leaving = run.chance.choice(run.fleet.nodes[:2])
        work, pid = busy_work(run, leaving), pid_of(leaving)
        leaving.stop()
        left += wait_for_takeover(run, pid, work, time.monotonic(), TAKEOVER_S)
        leaving.start()
        run.fleet.nodes.remove(node)
        node.stop()
    figure("one that joins works after", joined)
    figure("what one that leaves did is done after", left)
    check(statistics.median(left) < TTL_S, "what a node gave back was waited for as long as if it had been killed")


def test_the_database_restarts(run):
    pids, back = [pid_of(node) for node in run.fleet.nodes], []
    with asking(run) as statuses:
        for mode in ("fast", "immediate", "immediate", "fast"):
            run.database.restart(mode)
            back.append(wait_for_all(run, TAKEOVER_S))
    equal([pid_of(node) for node in run.fleet.running()], pids, "nodes that live on")
    figure(f"all goes on after a restart ({len(statuses)} answers, {statuses.count(503)} with 503)", back)


def test_connections_are_cut(run):
    """For a moment: nobody else has to take over."""
    node, back = run.fleet.nodes[2], []
    for vex in (run.way.cut, run.way.stall, run.way.cut):
        busy_work(run, node)
        vex()
        threading.Event().wait(0.7)
        run.way.heal()
        back.append(wait_for_work(run, node, TAKEOVER_S))
    figure("works again after its connections were cut", back)


def test_a_node_without_its_database_does_nothing(run):
    """Cut off for longer than its leases: with resets, or without a word."""
    node, took, back = run.fleet.nodes[2], [], []
    pid = pid_of(node)
    for vex in (run.way.stall, run.way.cut):
        work = busy_work(run, node)
        since = time.monotonic()
        vex()
        took += wait_for_takeover(run, pid, work, since, TAKEOVER_S)
        over = since + TTL_S
        wait_until(lambda: time.monotonic() > over + TTL_S, "a lease's life without leases")
        equal(run.seen.of(pid, over), [], "what it did after its leases had ended")
        run.way.heal()
        back.append(wait_for_work(run, node))
    figure("taken over from one that is cut off after", took)
    figure("works again after that after", back)


@contextlib.contextmanager
def no_way(run):
    """The last node has no way to the database; answers how long that may last."""
    run.way.stall()
    try:
        yield TTL_S
    finally:
        run.way.heal()


@contextlib.contextmanager
def nobody_lives(run):
    """All can be read, but no node can say that it lives; answers for how long the others have leases all the same."""
    with run.database.locked(LIVES):
        yield TTL_S - 2 * LOOK_S


def test_a_node_that_slept_does_nothing_by_old_leases(run):
    """It is stopped for longer than its leases, and wakes while it cannot say that it lives; then at once where it can."""
    node, took, back = run.fleet.nodes[2], [], []
    pid = pid_of(node)
    for keeps_still in (no_way(run), nobody_lives(run), contextlib.nullcontext()):
        work = busy_work(run, node)
        os.kill(pid, signal.SIGSTOP)
        took += wait_for_takeover(run, pid, work, time.monotonic(), TAKEOVER_S)
        with keeps_still as held_s:
            awake = time.monotonic()
            os.kill(pid, signal.SIGCONT)
            if held_s:
                threading.Event().wait(held_s)
                equal(run.seen.of(pid, awake), [], "what it did when it had woken")
        back.append(wait_for_work(run, node))
    figure("taken over from one that sleeps after", took)
    figure("works again after it woke after", back)


def test_clocks_are_minutes_apart(run):
    """One node's clock is ahead, another's behind: leases hold by neither."""
    took = []
    for node, offset_s in zip(run.fleet.nodes, (300, -300)):
        node.stop()
        node.env |= {**faketime(offset_s)}
        node.start()
        wait_for_work(run, node)
    for node in (run.fleet.nodes[2], run.fleet.nodes[0]):
        work, pid = busy_work(run, node), pid_of(node)
        took += wait_for_takeover(run, pid, work, kill(run, node), TAKEOVER_S)
        node.start()
        wait_for_work(run, node)
    for node in run.fleet.nodes[:2]:
        node.stop()
        for name in faketime(0):
            del node.env[name]
        node.start()
    figure("taken over with clocks apart after", took)


def faketime(offset_s):
    """What shows a process another time, but lets what it waits for be."""
    library = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1"
    return {"LD_PRELOAD": library, "FAKETIME": f"{offset_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def test_the_database_is_read_only_for_a_while(run):
    with asking(run) as statuses:
        run.database.ask("ALTER DATABASE postgres SET default_transaction_read_only = on")
        run.database.end_sessions()
        wait_until(lambda: 503 in statuses, "an answer that the store is not there", 15)
        threading.Event().wait(TTL_S)
        run.database.ask("ALTER DATABASE postgres RESET default_transaction_read_only")
        run.database.end_sessions()
        back = wait_for_all(run, TAKEOVER_S)
    figure(f"all goes on after ({len(statuses)} answers, {statuses.count(503)} with 503)", [back])


def test_nobody_can_say_that_he_lives(run):
    """Somebody holds what nodes say that they live by, longer than their leases: nobody does anything, then all do."""
    back = []
    for _ in range(2):
        with run.database.locked(LIVES):
            over = time.monotonic() + TTL_S
            wait_until(lambda: time.monotonic() > over + LOOK_S, "the end of all leases")
            done = [run.seen.of(pid_of(node), over) for node in run.fleet.nodes]
            equal(done, [[]] * len(done), "what nodes did after their leases had ended")
        back.append(wait_for_all(run, TAKEOVER_S))
    figure("all goes on after", back)


def test_one_shard_is_locked(run):
    """Somebody holds a shard's row, longer than anybody waits for it: it is as if its vendor were slow."""
    back = []
    for _ in range(2):
        with run.database.locked(f"anyhook.locks WHERE id = {run.chance.randrange(64)}"):
            threading.Event().wait(TTL_S)
        back.append(wait_for_all(run, TAKEOVER_S))
    figure("all goes on after", back)


def test_the_disk_is_full_for_a_while(run):
    if not run.database.disk:
        print("       left out: only root can mount a disk for it", flush=True)
        return
    is_told = lambda: any("No space left" in line for node in run.fleet.nodes for line in node.process.lines[-200:])
    with asking(run) as statuses:
        with run.database.full():
            wait_until(is_told, "a node finds the disk full", 60, lambda: logs(run, 10))
            threading.Event().wait(TTL_S)
        run.database.revive()
        back = wait_for_all(run, TAKEOVER_S)
    figure(f"all goes on after ({len(statuses)} answers, {statuses.count(503)} with 503)", [back])


def test_what_came_of_it(run):
    equal(short(run.seen.at_once()), "[]", "what two nodes did at once")
    settle(run)
    check_all(run)
    check(run.kills >= 50 or KILLS < 43, f"{run.kills} kills")
