"""History and changes of HubSpot's API as Backlot serves it: searches by POST, times in tie, and lists by id.

What Backlot lacks is not shown here: that searches end at 10,000 results, that they show changes late, the limits that
HubSpot sets and its webhooks.
"""

import contextlib
import json
import time
import types

from anyhook import anyhook, SECRET
from backlot import AUTHOR, TOKEN, backlot
from lib import equal, temporary_directory, wait_until_seeds_are_old
from receiver import receiver

# More than two of the connector's pages of 100, some of them archived.
CONTACTS = 260
ARCHIVED = 5
PAGE_MAX = 70
# Changed at one time, as by an import: more than two pages again.
TIED = 230
DAY_MS = 86_400_000


def now_ms():
    return time.time_ns() // 1_000_000


def contact(number, at_ms, **fields):
    """A contact as Backlot imports it. It compares properties with a filter as numbers where both are."""
    record_id = str(number)
    properties = {"firstname": "Person", "lastname": record_id, "lastmodifieddate": str(at_ms), **fields}
    return {
        "source_type": "hubspot",
        "object_type": "contacts",
        "record_id": record_id,
        "doc_id": f"contact {record_id}",
        "title": f"Person {record_id}",
        "content": f"Person {record_id}",
        "author_email": AUTHOR,
        "created": at_ms // 1000,
        "updated": at_ms // 1000,
        "properties": {"hs_object_id": record_id, **properties},
    }


def change(world, ids, **fields):
    """Changes properties of contacts, all at one time."""
    at_ms = now_ms()
    for record_id in ids:
        ((text,),) = world.vendor.select("SELECT properties FROM hubspot_objects WHERE id = ?", record_id)
        properties = {**json.loads(text), "lastmodifieddate": str(at_ms), **fields}
        statement = "UPDATE hubspot_objects SET properties = ?, updated_ts = ? WHERE id = ?"
        world.vendor.run_sql(statement, json.dumps(properties), at_ms // 1000, record_id)


@contextlib.contextmanager
def world():
    long_ago = now_ms() - 30 * DAY_MS
    ids = [str(number) for number in range(1_000, 1_000 + CONTACTS)]
    seeds = [contact(int(record_id), long_ago + int(record_id)) for record_id in ids]
    for seed in seeds[:ARCHIVED]:
        seed["archived"] = True
    with temporary_directory() as directory, backlot(directory, seeds) as vendor, receiver(SECRET) as subscriber:
        with anyhook(directory) as server:
            connection = server.connect("hubspot", ["crm"], api_url=f"{vendor.url}/hubspot", token=TOKEN)
            yield types.SimpleNamespace(
                vendor=vendor, server=server, receiver=subscriber, connection=connection, ids=ids[ARCHIVED:], hooks={}
            )


def subscribe(world, name, **fields):
    hook_url = world.receiver.hook(name)
    fields = {"webhook_type": "virtual", "page_max_limit": PAGE_MAX, **fields}
    world.hooks[name] = world.server.subscribe(world.connection, "crm_contact", hook_url, **fields)["id"]


def polled(world):
    for name, webhook_id in world.hooks.items():
        world.server.wait_for_polls(webhook_id)
        world.receiver.check_promises(name, page_max=PAGE_MAX)


def test_the_whole_history_arrives_once(world):
    subscribe(world, "all", include_all=True)
    equal(sorted(world.receiver.wait_for_initial("all")), world.ids, "records of the initial sync")
    polled(world)


def test_changes_arrive_once_and_nothing_else(world):
    subscribe(world, "created", event="created")
    polled(world)
    wait_until_seeds_are_old()
    change(world, world.ids[:3], lastname="Changed", jobtitle="Engineer")
    world.vendor.add([contact(5_000, now_ms(), lastname="New", email="new@example.com")])
    world.receiver.wait_for("all", [*world.ids[:3], "5000"], "changed and new contacts")
    world.receiver.wait_for("created", ["5000"], "the new contact")
    polled(world)
    equal(sorted(world.receiver.ids("all", "VIRTUAL")), sorted([*world.ids[:3], "5000"]), "changes")
    equal(world.receiver.ids("created"), ["5000"], "creations")
    records = {record["id"]: record for record in world.receiver.records("all", "VIRTUAL")}
    changed, new = records[world.ids[0]], records["5000"]
    equal((changed["last_name"], changed["title"]), ("Changed", "Engineer"), "the changed contact")
    equal((new["name"], new["emails"]), ("Person New", [{"email": "new@example.com"}]), "the new contact")


def test_a_tie_of_several_pages_arrives_once(world):
    before = len(world.receiver.ids("all", "VIRTUAL"))
    tied = world.ids[5 : 5 + TIED]
    change(world, tied, city="Bern")
    world.receiver.wait_for("all", tied, "all that changed at one time")
    polled(world)
    equal(sorted(world.receiver.ids("all", "VIRTUAL")[before:]), sorted(tied), "changes of one time")


def test_archived_and_vanished_contacts_are_told_as_deleted(world):
    archived, gone = world.ids[-3:-1]
    subscribe(world, "deleted", event="deleted")
    polled(world)
    before = len(world.receiver.ids("all", "VIRTUAL"))
    world.vendor.run_sql("UPDATE hubspot_objects SET archived = 1 WHERE id = ?", archived)
    world.vendor.run_sql("DELETE FROM hubspot_objects WHERE id = ?", gone)
    world.receiver.wait_for("deleted", [archived, gone], "the deletions")
    polled(world)
    equal(sorted(world.receiver.ids("deleted")), [archived, gone], "deletions")
    equal(world.receiver.ids("all", "VIRTUAL")[before:], [], "changes")
