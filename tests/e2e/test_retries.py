"""A subscriber that fails for a while: it is tried again by itself, also where nothing else happens at the vendor."""

import contextlib
import types

from anyhook import SECRET, anyhook, simulator
from lib import equal, temporary_directory, wait_until
from receiver import receiver


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, simulator("--records", "20") as vendor:
        with receiver(SECRET) as subscriber, anyhook(directory) as server:
            yield types.SimpleNamespace(server=server, vendor=vendor, receiver=subscriber)


def test_a_batch_behind_changes_for_others_is_tried_again(world):
    connection = world.server.connect("sandbox", ["crm"], api_url=world.vendor.url, token="sandbox")
    hooks = {}
    for event in ("updated", "deleted"):
        hooks[event] = world.server.subscribe(connection, "crm_contact", world.receiver.hook(event), event)["id"]
        world.server.wait_for_polls(hooks[event])
    tries = {"/deleted": 2}

    def rule(attempt):
        tries[attempt.path] = tries.get(attempt.path, 0) - 1
        return 503 if tries[attempt.path] >= 0 else 200

    world.receiver.rule = rule
    first, second, *_ = sorted(world.vendor.state("contacts"))
    # A page of the log that holds nothing for who wants deletions, then one that does, read in one go.
    world.server.call("PATCH", f"/unified/webhook/{hooks['deleted']}", {"is_paused": True})
    world.vendor.change("contacts", first, title="Passed over")
    world.receiver.wait_for("updated", {first}, "the change")
    world.vendor.delete("contacts", second)
    world.server.wait_for_polls(hooks["updated"])
    world.server.call("PATCH", f"/unified/webhook/{hooks['deleted']}", {"is_paused": False})
    wait_until(
        lambda: world.receiver.ids("deleted") == [second], "the deletion", 20, lambda: world.receiver.of("deleted")
    )
    equal([attempt.status for attempt in world.receiver.of("deleted")], [503, 503, 200], "attempts")
    world.receiver.check_promises("deleted")
