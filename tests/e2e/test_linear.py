"""History and changes of Linear's API as Backlot serves it: GraphQL, newest first, and errors in the body.

What Backlot lacks is not shown here: lists of projects, the trash, changes of comments, limits by points and webhooks.
"""

import contextlib
import time
import types

from anyhook import anyhook, SECRET
from backlot import AUTHOR, TOKEN, backlot
from lib import equal, temporary_directory, wait_until, wait_until_seeds_are_old
from receiver import receiver

# More than two of the connector's pages of 50.
ISSUES = 130
# Changed at once: more than a page again.
CHANGED = 70
DAY_S = 86_400


def issue(number, at_s, comment=None, **fields):
    """An issue as Backlot imports it."""
    said = [{"body": comment, "author_email": AUTHOR, "created_ts": at_s}] if comment else []
    return {
        "source_type": "linear",
        "team": "engineering",
        "identifier": f"ENG-{number}",
        "doc_id": f"issue {number}",
        "title": f"Issue {number}",
        "content": f"Text of {number}",
        "state": "Todo",
        "author_email": AUTHOR,
        "created": at_s,
        "updated": at_s,
        "comments": said,
        **fields,
    }


def change(world, ids, **fields):
    names = ", ".join(f"{name} = ?" for name in fields)
    for issue_id in ids:
        statement = f"UPDATE linear_issues SET updated_ts = ?, {names} WHERE id = ?"
        equal(world.vendor.run_sql(statement, int(time.time()), *fields.values(), issue_id), 1, "changed issues")


def id_of(world, number):
    ((issue_id,),) = world.vendor.select("SELECT id FROM linear_issues WHERE identifier = ?", f"ENG-{number}")
    return issue_id


@contextlib.contextmanager
def world():
    long_ago = int(time.time()) - 30 * DAY_S
    seeds = [issue(number, long_ago + number, comment="First" if number <= 3 else None) for number in range(ISSUES)]
    with temporary_directory() as directory, backlot(directory, seeds) as vendor, receiver(SECRET) as subscriber:
        with anyhook(directory) as server:
            connection = server.connect("linear", ["task"], api_url=f"{vendor.url}/linear", token=TOKEN)
            found = types.SimpleNamespace(
                vendor=vendor, server=server, receiver=subscriber, connection=connection, hooks={}
            )
            found.ids = [id_of(found, number) for number in range(ISSUES)]
            yield found


def subscribe(world, name, object_type="task_task", **fields):
    hook_url = world.receiver.hook(name)
    fields = {"webhook_type": "virtual", **fields}
    world.hooks[name] = world.server.subscribe(world.connection, object_type, hook_url, **fields)["id"]


def polled(world):
    for name, webhook_id in world.hooks.items():
        world.server.wait_for_polls(webhook_id)
        world.receiver.check_promises(name)


def test_the_whole_history_arrives_once(world):
    subscribe(world, "all", include_all=True)
    equal(sorted(world.receiver.wait_for_initial("all")), sorted(world.ids), "issues of the initial sync")
    subscribe(world, "comments", "task_comment", include_all=True)
    equal(len(world.receiver.wait_for_initial("comments")), 4, "comments of the initial sync")
    polled(world)


def test_changes_arrive_once_and_nothing_else(world):
    subscribe(world, "created", event="created")
    polled(world)
    wait_until_seeds_are_old()
    changed = world.ids[10 : 10 + CHANGED]
    change(world, changed, title="Renamed", state="Done")
    world.vendor.add([issue(900, int(time.time()), comment="Second", priority=1)])
    new = id_of(world, 900)
    world.receiver.wait_for("all", [*changed, new], "changed and new issues")
    world.receiver.wait_for("created", [new], "the new issue")
    wait_until(lambda: world.receiver.ids("comments", "VIRTUAL"), "the new comment")
    polled(world)
    equal(sorted(world.receiver.ids("all", "VIRTUAL")), sorted([*changed, new]), "changes")
    equal(world.receiver.ids("created"), [new], "creations")
    records = {record["id"]: record for record in world.receiver.records("all", "VIRTUAL")}
    one = records[changed[0]]
    equal((one["name"], one["status"]), ("Renamed", "COMPLETED"), "a changed issue")
    equal(records[new]["priority"], "Urgent", "priority of the new issue")
    (comment,) = world.receiver.records("comments", "VIRTUAL")
    equal(comment["text"], "Second", "the new comment")


def test_a_refused_key_is_named_and_a_good_one_mends_it(world):
    world.server.call("PATCH", f"/unified/connection/{world.connection}", {"auth": {"token": "Bearer of nothing"}})
    webhook = f"/unified/webhook/{world.hooks['all']}"
    wait_until(
        lambda: not world.server.call("GET", webhook)["is_healthy"],
        "the webhook is unhealthy",
        state=lambda: (world.server.call("GET", webhook), world.server.process.tail(10)),
    )
    change(world, world.ids[:1], title="Changed while the key was refused")
    before = len(world.receiver.ids("all", "VIRTUAL"))
    world.server.call("PATCH", f"/unified/connection/{world.connection}", {"auth": {"token": TOKEN}})
    wait_until(
        lambda: world.receiver.ids("all", "VIRTUAL")[before:] == world.ids[:1],
        "the change",
        state=lambda: (world.server.call("GET", webhook), world.receiver.of("all")[-3:]),
    )
    equal(world.server.call("GET", webhook)["is_healthy"], True, "is_healthy")


def test_a_comment_that_vanished_is_told_as_deleted(world):
    subscribe(world, "gone", "task_comment", event="deleted")
    polled(world)
    first = min(world.receiver.records("comments"), key=lambda comment: comment["created_at"])
    equal(first["text"], "First", "the comment")
    world.vendor.run_sql("DELETE FROM linear_comments WHERE created_ts = (SELECT MIN(created_ts) FROM linear_comments)")
    world.receiver.wait_for("gone", [first["id"]], "the deleted comment")
    polled(world)
    equal(world.receiver.ids("gone"), [first["id"]], "deletions")
