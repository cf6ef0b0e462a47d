"""What holds whatever was killed and cut: the receiver ends with what the vendor has, record by record, each history ends
once, first deliveries keep their order, and no change comes under two webhook-ids.

A run (`types.SimpleNamespace`) has a `server` to ask, the `vendor` (anyhook.Simulator), the `receiver`, its `chance`, when
the vendor's changes began (`started`), and the `hooks` that were made.
"""

import collections
import datetime
import types

from lib import check, equal, short, wait_until

PAGE_MAX = 25


class Hook(types.SimpleNamespace):
    """A webhook: its id and the receiver's name of it, what it listens to, and whether it asked for the history."""


def subscribe(run, connection, objects, event, include_all, **fields):
    """Makes a webhook and answers it."""
    name = f"{objects}-{event}-{len(run.hooks)}"
    object_type = {"contacts": "crm_contact", "deals": "crm_deal"}[objects]
    fields = {"fields": "id,updated_at,raw", "page_max_limit": PAGE_MAX, **fields}
    hook_url = run.receiver.hook(name)
    made = run.server.subscribe(connection, object_type, hook_url, event, include_all, **fields)
    hook = Hook(id=made["id"], name=name, objects=objects, event=event, include_all=include_all)
    run.hooks.append(hook)
    return hook


def at(text):
    """A time of the vendor's."""
    return datetime.datetime.fromisoformat(text)


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
    for _ in range(2):
        before = {hook.id: run.server.webhook(hook.id).get("checked_at") for hook in run.hooks}
        for hook in run.hooks:
            has_polled = lambda: run.server.webhook(hook.id).get("checked_at") != before[hook.id]
            wait_until(has_polled, f"another poll for {hook.name}", state=lambda: run.server.process.tail(15))
    for hook in run.hooks:
        check(run.server.webhook(hook.id)["is_healthy"], f"{hook.name} is unhealthy: {run.server.webhook(hook.id)}")


def wanted(run, hook):
    """The records that the receiver must know of in the end, as they are."""
    rows = run.vendor.state(hook.objects)
    if hook.event == "deleted":
        gone = deleted_since_start(run, hook.objects)
        return {key: row for key, row in rows.items() if row["deleted"] and key in gone}
    is_told = lambda row: hook.include_all or at(row["updated_at"]) > run.started
    return {key: row for key, row in rows.items() if not row["deleted"] and is_told(row)}


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
