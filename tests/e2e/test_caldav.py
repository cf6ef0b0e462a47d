"""History and changes of a real CalDAV server, Radicale: a feed by opaque tokens, which the server may forget."""

import contextlib
import types

from anyhook import anyhook, SECRET
from lib import equal, temporary_directory
from python_servers import radicale
from receiver import receiver

EVENTS = 60


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, radicale(directory) as calendar, receiver(SECRET) as subscriber:
        ids = [calendar.put(f"event-{number:03}.ics", f"Event {number}") for number in range(EVENTS)]
        with anyhook(directory) as server:
            connection = server.connect(
                "caldav", ["calendar"], api_url=calendar.url, user_id=calendar.user, token="any"
            )
            yield types.SimpleNamespace(
                calendar=calendar, server=server, receiver=subscriber, connection=connection, ids=ids, hooks={}
            )


def subscribe(world, name, **fields):
    hook_url = world.receiver.hook(name)
    world.hooks[name] = world.server.subscribe(world.connection, "calendar_event", hook_url, **fields)["id"]


def polled(world):
    for name, webhook_id in world.hooks.items():
        world.server.wait_for_polls(webhook_id)
        world.receiver.check_promises(name)


def test_the_whole_history_arrives_once(world):
    subscribe(world, "all", include_all=True)
    equal(sorted(world.receiver.wait_for_initial("all")), world.ids, "events of the initial sync")


def test_each_kind_of_change_arrives_once_and_nothing_else(world):
    for event in ("created", "deleted"):
        subscribe(world, event, event=event)
    polled(world)
    changed = world.calendar.put(world.ids[3], "Moved\\, and\\nrenamed", "20260401T090000Z")
    new = world.calendar.put("new one.ics".replace(" ", "%20"), "New").replace("%20", " ")
    world.calendar.delete(world.ids[5])
    world.receiver.wait_for("all", [changed, new], "the changed and the new event")
    world.receiver.wait_for("created", [new], "the new event")
    world.receiver.wait_for("deleted", [world.ids[5]], "the deleted event")
    polled(world)
    equal(sorted(world.receiver.ids("all", "VIRTUAL")), sorted([changed, new]), "changes")
    equal(world.receiver.ids("created"), [new], "creations")
    equal(world.receiver.ids("deleted"), [world.ids[5]], "deletions")
    moved = {record["id"]: record for record in world.receiver.records("all", "VIRTUAL")}[changed]
    equal((moved["subject"], moved["start_at"]), ("Moved, and\nrenamed", "2026-04-01T09:00:00Z"), "the event as it is")


def test_a_forgotten_token_repeats_nothing_and_loses_no_change(world):
    before = len(world.receiver.ids("all", "VIRTUAL"))
    world.calendar.forget_tokens()
    changed = world.calendar.put(world.ids[7], "Changed while the token was lost")
    world.receiver.wait_for("all", [changed], "the changed event")
    polled(world)
    equal(world.receiver.ids("all", "VIRTUAL")[before:], [changed], "changes after the token was lost")


def test_a_deletion_that_a_forgotten_token_hid_is_told(world):
    before = len(world.receiver.ids("all", "VIRTUAL")), len(world.receiver.ids("deleted"))
    world.server.call("PATCH", f"/unified/connection/{world.connection}", {"is_paused": True})
    world.calendar.delete(world.ids[9])
    world.calendar.forget_tokens()
    changed = world.calendar.put(world.ids[11], "Changed in the same time")
    world.server.call("PATCH", f"/unified/connection/{world.connection}", {"is_paused": False})
    world.receiver.wait_for("deleted", [world.ids[9]], "the deleted event")
    world.receiver.wait_for("all", [changed], "the changed event")
    polled(world)
    equal(world.receiver.ids("deleted")[before[1] :], [world.ids[9]], "deletions")
    equal(world.receiver.ids("all", "VIRTUAL")[before[0] :], [changed], "changes")
