"""Nodes on one PostgreSQL with work for each of them, and what suites wait for that vex them or their database.

The vendor creates, changes and deletes records, webhooks ask for their history, and the receiver fails at times. A run
(`types.SimpleNamespace`) has what promises.py asks for, and the `fleet`, the `connections` and who did what (`seen`).
"""

import contextlib
import datetime
import os
import random
import statistics
import threading
import time
import types

from anyhook import Anyhook, Api, KEY, SECRET, simulator
from gateway import gateway
from lib import check, equal, http, short, temporary_directory, wait_until
from promises import fails, subscribe
from receiver import receiver
from sightings import Sightings

SEED = int(os.environ.get("E2E_SEED", "20260"))
RECORDS = 600
CHANGES_PER_SECOND = 16
# So many that each node has some of them, however their shards fall: a node of three lacks all with a chance of (2/3)^30.
ACCOUNTS = 30
# Of webhooks.
INTERVAL_S = 1.2

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
# What an answer of the API must not tell.
INTERNALS = ("postgres", "sql", "deadpool", "connection", "statement", "transaction", "127.0.0.1")


class Fleet(Api):
    """The nodes there are. It answers as any one of them that runs."""

    def __init__(self, directory):
        self.directory, self.nodes = directory, []
        # The node that is about to be stopped: nobody asks it any more.
        self.leaving = None

    def start(self, store_url, binary=None):
        node = Anyhook(self.directory, **SETTINGS, ANYHOOK_STORE=store_url)
        node.binary = binary or node.binary
        self.nodes.append(node)
        return node.start()

    def replace(self, node, binary):
        """Stops a node as an upgrade does, once nobody asks it, and starts it again as this build."""
        self.leaving = node
        threading.Event().wait(0.3)
        node.stop()
        node.binary = binary
        node.start()
        self.leaving = None

    def pids(self):
        return [pid_of(node) for node in self.nodes if node.process]

    def running(self):
        is_up = lambda node: node is not self.leaving and node.process and node.process.child.poll() is None
        return [node for node in self.nodes if is_up(node)]

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
def vendor_and_receiver():
    """What a run needs besides its database and its nodes."""
    flags = ("--records", str(RECORDS), "--seed", str(SEED), "--rate-limit", "0")
    with contextlib.ExitStack() as stack:
        fleet = Fleet(stack.enter_context(temporary_directory()))
        run = types.SimpleNamespace(server=fleet, fleet=fleet, chance=random.Random(SEED), hooks=[], connections=[])
        run.seen = Sightings(fleet.pids)
        run.vendor = stack.enter_context(simulator(*flags))
        run.front = stack.enter_context(gateway(run.vendor, "sandbox", run.seen))
        run.receiver = stack.enter_context(receiver(SECRET, run.seen))
        stack.callback(fleet.end)
        yield run
        print(f"       {summary(run)}", flush=True)
        for node in fleet.nodes:
            node.stop()


def begin_work(run):
    """Gives the nodes their work, and lets the vendor change what it has."""
    for number in range(ACCOUNTS):
        connection = run.fleet.connect("sandbox", ["crm"], api_url=run.front, token=f"account-{number}")
        run.connections.append(connection)
        hook(run, connection, ["contacts", "deals"][number % 2], "updated", number % 5 == 0)
    for connection in run.connections[:3]:
        hook(run, connection, "contacts", "deleted", False)
    for made in run.hooks:
        # What is deleted before the first look at the vendor was never there.
        wait_until(lambda: run.fleet.webhook(made.id).get("checked_at"), f"the first poll for {made.name}")
    run.started = datetime.datetime.now(datetime.timezone.utc)
    run.vendor.changes_per_second(CHANGES_PER_SECOND)
    run.receiver.rule = fails(run, 0.1)


def hook(run, connection, objects, event, include_all):
    subscribe(run, connection, objects, event, include_all, interval=INTERVAL_S / 60)


def summary(run):
    failed = sum(not attempt.accepted for attempt in run.receiver.attempts)
    polls = sum(key[0] == "poll" for key, *_ in run.seen.rows)
    strange = sum(pid is None for _, pid, *_ in run.seen.rows)
    return (
        f"seed {SEED}: {len(run.vendor.history())} versions at the vendor, {len(run.hooks)} webhooks of {ACCOUNTS}"
        f" connections, {polls} polls, {len(run.receiver.attempts)} attempts, {failed} of them failed; of {strange}"
        f" requests it is not known whose they were"
    )


def figure(name, times_s):
    times_s = sorted(times_s)
    print(f"       {name}: median {statistics.median(times_s):.1f} s, at most {times_s[-1]:.1f} s", flush=True)


def wait_for_work(run, node, within_s=2 * TAKEOVER_S):
    """Waits until a node polls and delivers, from now on."""
    began, pid = time.monotonic(), pid_of(node)
    kinds = lambda: {key[0] for key, *_ in run.seen.of(pid, began)}
    state = lambda: (kinds(), shards(run), run.seen.of(None, began)[:9], node.process.tail(30))
    wait_until(lambda: kinds() == {"poll", "deliver"}, "the node polls and delivers", within_s, state)
    return time.monotonic() - began


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
