"""History and changes of a real Kinto: a feed by time, oldest first, with deletions in it."""

import contextlib
import types

from anyhook import anyhook, SECRET
from lib import equal, temporary_directory, wait_until_seeds_are_old
from python_servers import kinto
from receiver import receiver

# More than two of the connector's pages of 500.
RECORDS = 1_100
PAGE_MAX = 300


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, kinto(directory) as vendor, receiver(SECRET) as subscriber:
        ids = [vendor.put(f"person-{number:05}", name=f"Person {number}") for number in range(RECORDS)]
        # Twice, because what changed in the two seconds before a feed starts counts as news.
        wait_until_seeds_are_old()
        wait_until_seeds_are_old()
        with anyhook(directory) as server:
            meta = {"bucket": vendor.bucket, "collection": vendor.collection}
            connection = server.connect(
                "kinto", ["crm"], api_url=vendor.url, user_id=vendor.user, token=vendor.password, meta=meta
            )
            yield types.SimpleNamespace(
                vendor=vendor, server=server, receiver=subscriber, connection=connection, ids=ids, hooks={}
            )


def subscribe(world, name, **fields):
    hook_url = world.receiver.hook(name)
    world.hooks[name] = world.server.subscribe(world.connection, "crm_contact", hook_url, **fields)["id"]


def test_the_whole_history_arrives_once(world):
    subscribe(world, "all", include_all=True, page_max_limit=PAGE_MAX)
    equal(sorted(world.receiver.wait_for_initial("all")), world.ids, "records of the initial sync")
    world.receiver.check_promises("all", page_max=PAGE_MAX)


def test_changes_and_deletions_arrive_and_nothing_else(world):
    subscribe(world, "deleted", event="deleted")
    for name in ("all", "deleted"):
        world.server.wait_for_polls(world.hooks[name])
    changed = [world.vendor.put(record_id, name="Changed") for record_id in world.ids[:600]]
    new = world.vendor.put("person-new", name="New", email="new@example.com")
    world.vendor.delete(world.ids[700])
    world.receiver.wait_for("all", [*changed, new], "changed and new records")
    world.receiver.wait_for("deleted", [world.ids[700]], "the deleted record")
    for name in ("all", "deleted"):
        world.server.wait_for_polls(world.hooks[name])
        world.receiver.check_promises(name)
    equal(sorted(world.receiver.ids("all", "VIRTUAL")), sorted([*changed, new]), "changes")
    equal(world.receiver.ids("deleted", "VIRTUAL"), [world.ids[700]], "deletions")
    last = world.receiver.records("all", "VIRTUAL")[-1]
    equal((last["name"], last["emails"]), ("New", [{"email": "new@example.com"}]), "fields of the new record")
