"""Power cuts: the server is killed at moments of chance, again and again, and started on the same directory.

All the while the vendor creates, changes and deletes records, new webhooks ask for their history, and the receiver
fails at times. Whatever the moments, the receiver ends with what the vendor has, record by record, each history ends
once, first deliveries keep their order, and no change comes under two webhook-ids. E2E_SEED repeats a run's moments as
far as time repeats; E2E_KILLS makes it longer.
"""

import contextlib
import datetime
import os
import random
import statistics
import threading
import time
import types

from anyhook import Anyhook, SECRET, simulator
from lib import temporary_directory, wait_until
from promises import check_all, fails, is_complete, settle, subscribe
from receiver import receiver

SEED = int(os.environ.get("E2E_SEED", "20260"))
# In each of the three parts of a run.
KILLS = int(os.environ.get("E2E_KILLS", "18"))
RECORDS = 3000
CHANGES_PER_SECOND = 40
# A kill at any moment comes so long after the server has said that it listens.
UP_S = (0.05, 1.5)


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
            subscribe(run, connection, "contacts", "deleted", False)
            # What is deleted before the first look at the vendor was never there.
            wait_until(lambda: server.webhook(run.hooks[0].id).get("checked_at"), "the first poll")
            run.started = datetime.datetime.now(datetime.timezone.utc)
            vendor.changes_per_second(CHANGES_PER_SECOND)
            yield run
            server.stop()
        finally:
            if server.process:
                server.process.kill()


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
            subscribe(run, run.connection, ["contacts", "deals"][len(run.hooks) % 2], "updated", True)
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
