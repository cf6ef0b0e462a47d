"""Power cuts: the server is killed at moments of chance and started again on the same directory.

Whatever the moment, the receiver ends with what the vendor has, the history ends once, first deliveries keep their
order, and no change comes under two webhook-ids. E2E_SEED repeats a run's moments as far as time repeats.
"""

import contextlib
import datetime
import os
import random
import threading
import types

from anyhook import Anyhook, SECRET, simulator
from lib import check, equal, short, temporary_directory, wait_until
from receiver import receiver

SEED = int(os.environ.get("E2E_SEED", "20260"))
RECORDS = 3000
PAGE_MAX = 50
KILLS = 4
CHANGES_PER_SECOND = 40
# What each hook listens to: the simulator's name of it, the object type, the event, and whether it wants the history.
HOOKS = {
    "contacts": ("contacts", "crm_contact", "updated", True),
    "deals": ("deals", "crm_deal", "updated", True),
    "gone": ("contacts", "crm_contact", "deleted", False),
}


@contextlib.contextmanager
def world():
    with receiver(SECRET) as subscriber:
        yield subscriber


@contextlib.contextmanager
def running(subscriber, seed):
    """A vendor that keeps changing, a server subscribed to it, and this run's chance."""
    subscriber.attempts.clear()
    subscriber.rule = lambda attempt: 200
    chance = random.Random(SEED + seed)
    flags = ("--records", str(RECORDS), "--seed", str(seed), "--rate-limit", "0")
    with temporary_directory() as directory, simulator(*flags) as vendor:
        server = Anyhook(directory).start()
        try:
            connection = server.connect("sandbox", ["crm"], api_url=vendor.url, token="sandbox")
            run = types.SimpleNamespace(server=server, vendor=vendor, receiver=subscriber, chance=chance, hooks={})
            subscribe(run, connection, "gone")
            # What is deleted before the first look at the vendor was never there.
            wait_until(lambda: server.webhook(run.hooks["gone"]).get("checked_at"), "the first poll")
            run.started = datetime.datetime.now(datetime.timezone.utc)
            vendor.changes_per_second(CHANGES_PER_SECOND)
            subscribe(run, connection, "contacts")
            subscribe(run, connection, "deals")
            yield run
            server.stop()
        finally:
            if server.process:
                server.process.kill()


def subscribe(run, connection, name):
    _, object_type, event, include_all = HOOKS[name]
    fields = {"fields": "id,updated_at,raw", "page_max_limit": PAGE_MAX}
    hook_url = run.receiver.hook(name)
    run.hooks[name] = run.server.subscribe(connection, object_type, hook_url, event, include_all, **fields)["id"]


def at(text):
    """A time of the vendor's."""
    return datetime.datetime.fromisoformat(text)


def kill_while_delivering(run, attempts_max):
    """Kills the server in the midst of an attempt, some attempts from now, before or after it is answered."""
    cut, left = threading.Event(), [run.chance.randint(1, attempts_max)]
    before_answer, rule = run.chance.random() < 0.5, run.receiver.rule

    def rule_until_cut(attempt):
        left[0] -= 1
        if left[0] == 0:
            if before_answer:
                run.server.kill()
            cut.set()
        return rule(attempt)

    run.receiver.rule = rule_until_cut
    wait_until(cut.is_set, "an attempt to kill the server at", state=lambda: run.server.process.tail(15))
    run.server.kill()
    run.receiver.rule = rule
    run.server.start()


def kill_at_any_moment(run, after_s_max):
    """Kills the server at a time that has nothing to do with what it is doing."""
    threading.Event().wait(run.chance.uniform(0.05, after_s_max))
    run.server.kill()
    run.server.start()


def kill_somehow(run, attempts_max, after_s_max):
    if run.chance.random() < 0.6:
        kill_while_delivering(run, attempts_max)
    else:
        kill_at_any_moment(run, after_s_max)


def settle(run):
    """The vendor comes to rest; then the receiver must come to know all that it has."""
    run.vendor.changes_per_second(0)
    wanted = {objects: run.vendor.state(objects) for objects in {row[0] for row in HOOKS.values()}}
    for name, (objects, _, event, _) in HOOKS.items():
        want = {key: row for key, row in wanted[objects].items() if row["deleted"] == (event == "deleted")}
        if event == "deleted":
            gone = deleted_since_start(run, objects)
            want = {key: row for key, row in want.items() if key in gone}
        wait_until(
            lambda: all(known(run, name).get(key) == row for key, row in want.items()),
            f"{name}: the receiver knows what the vendor has",
            90,
            state=lambda: difference(known(run, name), want, run),
        )
    for name, hook in run.hooks.items():
        run.server.wait_for_polls(hook)
        check(run.server.webhook(hook)["is_healthy"], f"{name} is unhealthy: {run.server.webhook(hook)}")


def known(run, name):
    """What the receiver holds of each record: the newest version by the vendor's time, whatever came first."""
    newest = {}
    for record in run.receiver.records(name):
        held = newest.get(record["id"])
        if held is None or at(held["updated_at"]) <= at(record["raw"]["updated_at"]):
            newest[record["id"]] = record["raw"]
    return newest


def difference(found, wanted, run):
    off = {key: (found.get(key), row) for key, row in wanted.items() if found.get(key) != row}
    came = [
        (name, batch, record["raw"]["updated_at"], record["raw"]["deleted"])
        for name in HOOKS
        for batch in run.receiver.batches(name)
        for record in batch.records
        if record["id"] in off
    ]
    changes = [(row["change"], row["at"]) for row in run.vendor.history() if row["id"] in off]
    return (
        f"{len(off)} of {len(wanted)} differ, such as {short(list(off.items())[:2])}\n"
        f"their changes: {short(changes)}\nwhat came of them: {short(came)}\n{run.server.process.tail(15)}"
    )


def deleted_since_start(run, objects):
    rows = [row for row in run.vendor.history() if row["object"] == objects and row["change"] == "deleted"]
    return {row["id"] for row in rows if at(row["at"]) > run.started}


def check_all(run):
    for name, (objects, _, event, include_all) in HOOKS.items():
        run.receiver.check_promises(name, PAGE_MAX)
        complete = run.receiver.batches(name, "INITIAL-COMPLETE")
        equal(len(complete), int(include_all), f"INITIAL-COMPLETE at {name}")
        batches = run.receiver.batches(name, "VIRTUAL")
        seen = [(record["id"], record["raw"]["updated_at"]) for batch in batches for record in batch.records]
        twice = sorted({version for version in seen if seen.count(version) > 1}) if len(seen) != len(set(seen)) else []
        equal(twice, [], f"versions that came twice as VIRTUAL at {name}")
        real = {(row["id"], row["record"]["updated_at"]) for row in run.vendor.history() if row["object"] == objects}
        equal(sorted(set(seen) - real), [], f"versions at {name} that the vendor never had")
        if event == "deleted":
            alive = {key for key, row in run.vendor.state(objects).items() if not row["deleted"]}
            equal(sorted(alive & {key for key, _ in seen}), [], "live records that were reported deleted")


def rest_of_history(run):
    for name in ("contacts", "deals"):
        run.receiver.wait_for_initial(name)


def test_killed_during_the_back_fill(subscriber):
    for seed in range(3):
        with running(subscriber, seed) as run:
            for _ in range(KILLS):
                kill_somehow(run, 8, 0.6)
            rest_of_history(run)
            settle(run)
            check_all(run)
            history = set(run.receiver.ids("contacts", "INITIAL-PARTIAL", "INITIAL-COMPLETE"))
            check(len(history) >= RECORDS * 0.8, f"only {len(history)} records in the history")


def test_killed_during_live_polling(subscriber):
    for seed in range(10, 12):
        with running(subscriber, seed) as run:
            rest_of_history(run)
            for _ in range(KILLS):
                kill_somehow(run, 6, 1.5)
            settle(run)
            check_all(run)


def test_killed_during_retries(subscriber):
    for seed in range(20, 22):
        with running(subscriber, seed) as run:
            if seed % 2:
                rest_of_history(run)
            run.receiver.rule = lambda attempt: 500
            for _ in range(KILLS):
                kill_while_delivering(run, 10)
            # A subscriber that recovers slowly: every other attempt still fails for a while.
            flaky = [40]

            def recovering(attempt):
                flaky[0] -= 1
                return 503 if flaky[0] > 0 and run.chance.random() < 0.5 else 200

            run.receiver.rule = recovering
            kill_while_delivering(run, 10)
            rest_of_history(run)
            settle(run)
            check_all(run)
            failed = [attempt for attempt in run.receiver.attempts if not attempt.accepted]
            check(len(failed) >= KILLS, "hardly any attempt failed")
