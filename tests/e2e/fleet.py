"""Several nodes on one PostgreSQL: killed, stopped, cut off, with their database restarted and vexed, under load.

All the while the vendor creates, changes and deletes records, webhooks ask for their history, and the receiver fails at
times. Each test is a fault, with what must hold while it lasts and how soon the work goes on; the last one looks at what
came of all of it (promises.py), and at what two nodes did at once: nothing. E2E_SEED repeats a run's moments as far as
time repeats; E2E_FLEET_KILLS makes it longer.
"""

import contextlib
import datetime
import os
import random
import signal
import statistics
import threading
import time
import types

from anyhook import Anyhook, Api, KEY, SECRET, simulator
from gateway import gateway
from lib import check, equal, http, short, temporary_directory, wait_until
from postgres import own_disk, postgres
from promises import check_all, fails, is_complete, settle, subscribe
from proxy import proxy
from receiver import receiver
from sightings import Sightings

SEED = int(os.environ.get("E2E_SEED", "20260"))
KILLS = int(os.environ.get("E2E_FLEET_KILLS", "45"))
RECORDS = 600
CHANGES_PER_SECOND = 16
# So many that each node has some of them, however their shards fall: a node of three lacks all with a chance of (2/3)^30.
ACCOUNTS = 30
# Of webhooks.
INTERVAL_S = 1.2
# A kill at any moment comes so long after the one before.
KILL_EVERY_S = (0.1, 1.2)

TTL_S = 4.0
# What a node looks at leases by: others' every third of their life.
LOOK_S = TTL_S / 3
# What the next poll, delivery or retry takes on a machine that is busy, and reading what was won.
SLACK_S = INTERVAL_S + 6.0
# A node's work is another's after its leases have run out, and the other has looked.
TAKEOVER_S = TTL_S + LOOK_S + SLACK_S

SETTINGS = {
    "ANYHOOK_MASTER_KEY": "ZmxlZXQtc3VpdGUtbWFzdGVyLWtleS0zMi1ieXRlcyE=",
    "ANYHOOK_STORE_LEASE_TTL_MS": round(TTL_S * 1000),
    "ANYHOOK_STORE_STATEMENT_TIMEOUT_MS": "2500",
    "ANYHOOK_STORE_CONNECT_TIMEOUT_MS": "1000",
    "ANYHOOK_STORE_WRITE_DEADLINE_MS": "4000",
    "ANYHOOK_DELIVER_ATTEMPT_DEADLINE_MS": "1500",
    "ANYHOOK_DELIVER_CONNECT_TIMEOUT_MS": "1000",
}
# The row that a transaction locks in which a node says that it lives: behind those of 64 shards (store/postgres/locks.rs).
LIVES = "anyhook.locks WHERE id = 64"
# What an answer of the API must not tell.
INTERNALS = ("postgres", "sql", "deadpool", "connection", "statement", "transaction", "127.0.0.1")


class Fleet(Api):
    """The nodes there are. It answers as any one of them that runs."""

    def __init__(self, directory):
        self.directory, self.nodes = directory, []

    def start(self, store_url):
        node = Anyhook(self.directory, **SETTINGS, ANYHOOK_STORE=store_url)
        self.nodes.append(node)
        return node.start()

    def pids(self):
        return [pid_of(node) for node in self.nodes if node.process]

    def running(self):
        return [node for node in self.nodes if node.process and node.process.child.poll() is None]

    @property
    def first(self):
        return self.running()[0]

    @property
    def url(self):
        return self.first.url

    @property
    def process(self):
        return self.first.process

    def end(self):
        for node in self.nodes:
            if node.process:
                node.process.kill()


def pid_of(node):
    return node.process.child.pid


@contextlib.contextmanager
def world():
    """Three nodes with work for each, the last of them with a way to the database that can be cut."""
    flags = ("--records", str(RECORDS), "--seed", str(SEED), "--rate-limit", "0")
    with contextlib.ExitStack() as stack:
        fleet = Fleet(stack.enter_context(temporary_directory()))
        run = types.SimpleNamespace(server=fleet, fleet=fleet, chance=random.Random(SEED), hooks=[], figures=[], kills=0)
        run.seen = Sightings(fleet.pids)
        run.vendor = stack.enter_context(simulator(*flags))
        front = stack.enter_context(gateway(run.vendor, "sandbox", run.seen))
        run.receiver = stack.enter_context(receiver(SECRET, run.seen))
        run.database = stack.enter_context(postgres(stack.enter_context(own_disk())))
        run.way = stack.enter_context(proxy(run.database.port))
        stack.callback(fleet.end)
        run.connections = []
        fleet.start(run.database.url)
        fleet.start(run.database.url)
        fleet.start(run.database.url_through(run.way.port))
        for number in range(ACCOUNTS):
            connection = fleet.connect("sandbox", ["crm"], api_url=front, token=f"account-{number}")
            run.connections.append(connection)
            hook(run, connection, ["contacts", "deals"][number % 2], "updated", number % 5 == 0)
        for connection in run.connections[:3]:
            hook(run, connection, "contacts", "deleted", False)
        for made in run.hooks:
            # What is deleted before the first look at the vendor was never there.
            wait_until(lambda: fleet.webhook(made.id).get("checked_at"), f"the first poll for {made.name}")
        run.started = datetime.datetime.now(datetime.timezone.utc)
        run.vendor.changes_per_second(CHANGES_PER_SECOND)
        run.receiver.rule = fails(run, 0.1)
        yield run
        print(f"       {summary(run)}", flush=True)
        for node in fleet.nodes:
            node.stop()


def hook(run, connection, objects, event, include_all):
    subscribe(run, connection, objects, event, include_all, interval=INTERVAL_S / 60)


def summary(run):
    failed = sum(not attempt.accepted for attempt in run.receiver.attempts)
    polls = sum(key[0] == "poll" for key, *_ in run.seen.rows)
    strange = sum(pid is None for _, pid, *_ in run.seen.rows)
    return (
        f"seed {SEED}: {run.kills} kills, {len(run.vendor.history())} versions at the vendor, {len(run.hooks)} webhooks"
        f" of {ACCOUNTS} connections, {polls} polls, {len(run.receiver.attempts)} attempts, {failed} of them failed;"
        f" of {strange} requests it is not known whose they were"
    )


def figure(name, times_s):
    times_s = sorted(times_s)
    print(f"       {name}: median {statistics.median(times_s):.1f} s, at most {times_s[-1]:.1f} s", flush=True)


def kill(run, node):
    run.kills += 1
    node.kill()
    return time.monotonic()


def wait_for_work(run, node, within_s=2 * TAKEOVER_S):
    """Waits until a node polls and delivers, from now on."""
    began, pid = time.monotonic(), pid_of(node)
    kinds = lambda: {key[0] for key, *_ in run.seen.of(pid, began)}
    state = lambda: (kinds(), shards(run), run.seen.of(None, began)[:9], node.process.tail(30))
    wait_until(lambda: kinds() == {"poll", "deliver"}, "the node polls and delivers", within_s, state)
    return time.monotonic() - began


def wait_for_takeover(run, pid, work, since, within_s):
    """Waits until others do what a process did, and answers how long it took for each part of it."""
    times = lambda: {key: run.seen.first(key, since, but=pid) for key in work}
    state = lambda: (times(), since, run.fleet.process.tail(15))
    wait_until(lambda: None not in times().values(), f"others do {sorted(work)}", within_s, state)
    took = [at - since for at in times().values()]
    check(max(took) <= within_s, f"others did it after {max(took):.1f} s, not {within_s:.1f} s: {times()}")
    return took


def wait_for_all(run, within_s):
    """Waits until all accounts are polled and all webhooks of what changes are delivered to, from now on."""
    since = time.monotonic()
    keys = [("poll", f"account-{number}") for number in range(ACCOUNTS)]
    keys += [("deliver", made.name) for made in run.hooks if made.event == "updated"]
    missing = lambda: [key for key in keys if run.seen.first(key, since) is None]
    wait_until(lambda: not missing(), "all is polled and delivered again", within_s, lambda: (missing(), logs(run, 8)))
    return time.monotonic() - since


def shards(run):
    """How the nodes say that they are."""
    return [http("GET", f"{node.url}/health/ready").body for node in run.fleet.running()]


def logs(run, count):
    return [node.process.tail(count) for node in run.fleet.nodes]


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


@contextlib.contextmanager
def asking(run):
    """A client of the API that asks all the while: it is answered, or told to come again, and never how it is inside."""
    end, statuses, wrong = threading.Event(), [], []

    def ask():
        while not end.wait(0.1):
            node = run.chance.choice(run.fleet.running())
            answer = http("GET", f"{node.url}/unified/webhook/{run.hooks[0].id}", None, {"authorization": KEY})
            statuses.append(answer.status)
            text = answer.body.decode().lower()
            if answer.status not in (200, 503) or answer.status == 503 and any(word in text for word in INTERNALS):
                wrong.append((answer.status, text))

    def asked():
        try:
            ask()
        except Exception as problem:  # whatever it is, the test must see it
            wrong.append(problem)

    client = threading.Thread(target=asked)
    client.start()
    try:
        yield statuses
    finally:
        end.set()
        client.join(40)
    equal(short(wrong), "[]", "answers of the API that nobody should get")
    check(200 in statuses, f"the API never answered: {statuses}")


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
