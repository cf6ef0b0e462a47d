"""Power cuts: the server is killed at moments of chance, again and again, and started on the same directory.

All the while the vendor creates, changes and deletes records, new webhooks ask for their history, and the receiver
fails at times. Whatever the moments, the receiver ends with what the vendor has, record by record, each history ends
once, first deliveries keep their order, and no change comes under two webhook-ids. E2E_SEED repeats a run's moments as
far as time repeats; E2E_KILLS makes it longer.
"""

import collections
import contextlib
import datetime
import os
import random
import statistics
import threading
import time
import types

from anyhook import Anyhook, SECRET, simulator
from lib import check, equal, short, temporary_directory, wait_until
from receiver import receiver

SEED = int(os.environ.get("E2E_SEED", "20260"))
# In each of the three parts of a run.
KILLS = int(os.environ.get("E2E_KILLS", "18"))
RECORDS = 3000
PAGE_MAX = 25
CHANGES_PER_SECOND = 40
# A kill at any moment comes so long after the server has said that it listens.
UP_S = (0.05, 1.5)


class Hook(types.SimpleNamespace):
    """A webhook: its id and the receiver's name of it, what it listens to, and whether it asked for the history."""


@contextlib.contextmanager
def world():
    with receiver(SECRET) as subscriber:
        yield subscriber


@contextlib.contextmanager
def running(subscriber):
    """A vendor that keeps changing, a server subscribed to it, and this run's chance."""
    chance = random.Random(SEED)
    flags = ("--records", str(RECORDS), "--seed", str(SEED), "--rate-limit", "0")
    with temporary_directory() as directory, simulator(*flags) as vendor:
        server = Anyhook(directory).start()
        try:
            connection = server.connect("sandbox", ["crm"], api_url=vendor.url, token="sandbox")
            run = types.SimpleNamespace(
                server=server, vendor=vendor, receiver=subscriber, connection=connection, chance=chance
            )
            run.hooks, run.starts_s = [], []
            subscribe(run, "contacts", "deleted", False)
            # What is deleted before the first look at the vendor was never there.
            wait_until(lambda: server.webhook(run.hooks[0].id).get("checked_at"), "the first poll")
            run.started = datetime.datetime.now(datetime.timezone.utc)
            vendor.changes_per_second(CHANGES_PER_SECOND)
            yield run
            server.stop()
        finally:
            if server.process:
                server.process.kill()


def subscribe(run, objects, event, include_all):
    name = f"{objects}-{event}-{len(run.hooks)}"
    object_type = {"contacts": "crm_contact", "deals": "crm_deal"}[objects]
    fields = {"fields": "id,updated_at,raw", "page_max_limit": PAGE_MAX}
    hook_url = run.receiver.hook(name)
    made = run.server.subscribe(run.connection, object_type, hook_url, event, include_all, **fields)
    run.hooks.append(Hook(id=made["id"], name=name, objects=objects, event=event, include_all=include_all))


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


def kill_at_any_moment(run):
    """Kills the server at a time that has nothing to do with what it is doing."""
    threading.Event().wait(run.chance.uniform(*UP_S))
    run.server.kill()


def kill_and_start(run):
    """Kills the server in one way or the other, and starts it again."""
    if run.chance.random() < 0.4:
        kill_while_delivering(run, 6)
    else:
        kill_at_any_moment(run)
    began = time.monotonic()
    run.server.start()
    run.starts_s.append(time.monotonic() - began)


def kill_while_history_is_told(run):
    """There is always a webhook whose history is under way, and the receiver fails at times."""
    run.receiver.rule = fails(run, 0.1)
    for _ in range(KILLS):
        if all(is_complete(run, hook) for hook in run.hooks if hook.include_all):
            subscribe(run, ["contacts", "deals"][len(run.hooks) % 2], "updated", True)
        kill_and_start(run)


def kill_during_live_polling(run):
    """All histories have been told, and the receiver is well."""
    run.receiver.rule = fails(run, 0.0)
    for hook in run.hooks:
        if hook.include_all:
            run.receiver.wait_for_initial(hook.name)
    for _ in range(KILLS):
        kill_and_start(run)


def kill_during_retries(run):
    """The receiver fails half of the time, or always."""
    for _ in range(KILLS):
        run.receiver.rule = fails(run, run.chance.choice([0.5, 0.5, 1.0]))
        kill_and_start(run)


def fails(run, how_often):
    return lambda attempt: 503 if run.chance.random() < how_often else 200


def is_complete(run, hook):
    return bool(run.receiver.batches(hook.name, "INITIAL-COMPLETE"))


def settle(run):
    """The vendor comes to rest; then the receiver must come to know all that it has."""
    run.vendor.changes_per_second(0)
    run.receiver.rule = lambda attempt: 200
    for hook in run.hooks:
        want = wanted(run, hook)
        wait_until(
            lambda: want.items() <= known(run, hook.name).items(),
            f"{hook.name}: the receiver knows what the vendor has",
            90,
            state=lambda: difference(known(run, hook.name), want, run),
        )
        if hook.include_all:
            run.receiver.wait_for_initial(hook.name)
    for hook in run.hooks:
        run.server.wait_for_polls(hook.id)
        check(run.server.webhook(hook.id)["is_healthy"], f"{hook.name} is unhealthy: {run.server.webhook(hook.id)}")


def wanted(run, hook):
    """The records that the receiver must know of in the end, as they are."""
    rows = run.vendor.state(hook.objects)
    if hook.event == "deleted":
        gone = deleted_since_start(run, hook.objects)
        return {key: row for key, row in rows.items() if row["deleted"] and key in gone}
    return {key: row for key, row in rows.items() if not row["deleted"]}


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
        for name in (hook.name for hook in run.hooks)
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
    history = run.vendor.history()
    for hook in run.hooks:
        run.receiver.check_promises(hook.name, PAGE_MAX)
        complete = run.receiver.batches(hook.name, "INITIAL-COMPLETE")
        equal(len(complete), int(hook.include_all), f"INITIAL-COMPLETE at {hook.name}")
        batches = run.receiver.batches(hook.name, "VIRTUAL")
        seen = collections.Counter(
            (record["id"], record["raw"]["updated_at"]) for batch in batches for record in batch.records
        )
        twice = sorted(version for version, times in seen.items() if times > 1)
        equal(twice, [], f"versions that came twice as VIRTUAL at {hook.name}")
        real = {(row["id"], row["record"]["updated_at"]) for row in history if row["object"] == hook.objects}
        equal(sorted(set(seen) - real), [], f"versions at {hook.name} that the vendor never had")
        if hook.event == "deleted":
            alive = {key for key, row in run.vendor.state(hook.objects).items() if not row["deleted"]}
            equal(sorted(alive & {key for key, _ in seen}), [], "live records that were reported deleted")


def test_killed_again_and_again(subscriber):
    with running(subscriber) as run:
        began = time.monotonic()
        for part in (kill_while_history_is_told, kill_during_live_polling, kill_during_retries, settle, check_all):
            part(run)
            print(f"       {part.__name__}: until {time.monotonic() - began:.0f} s", flush=True)
        print(f"       {summary(run)}", flush=True)


def summary(run):
    starts_ms = sorted(round(start * 1000) for start in run.starts_s)
    failed = sum(not attempt.accepted for attempt in run.receiver.attempts)
    return (
        f"seed {SEED}: {len(run.starts_s)} kills, {len(run.vendor.history())} versions at the vendor,"
        f" {len(run.hooks)} webhooks, {len(run.receiver.attempts)} attempts, {failed} of them failed;"
        f" a start took {statistics.median(starts_ms):.0f} ms, at most {starts_ms[-1]} ms"
    )
