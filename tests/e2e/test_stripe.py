"""Events that localstripe signs and pushes, and the same ones polled: each payout is told once, as it last was."""

import contextlib
import types

from anyhook import anyhook, SECRET
from lib import check, equal, http, temporary_directory, wait_until, wait_until_seeds_are_old
from receiver import receiver
from stripe import localstripe

# Minutes; far longer than the suite runs, so that what arrives was pushed.
NEVER = 600


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, localstripe(directory) as vendor, receiver(SECRET) as subscriber:
        old = [vendor.payout(1_000 + number) for number in range(3)]
        wait_until_seeds_are_old()
        with anyhook(directory) as server:
            # What two webhooks want of one connection is polled once, so each way has a connection of its own.
            polled, pushed, both = [
                server.connect("stripe", ["payment", "accounting"], api_url=vendor.url, token=vendor.key)
                for _ in range(3)
            ]
            yield types.SimpleNamespace(
                vendor=vendor,
                server=server,
                receiver=subscriber,
                polled=polled,
                pushed=pushed,
                both=both,
                hooks={},
                old=old,
            )


def subscribe(world, name, connection, object_type="payment_payout", **fields):
    hook_url = world.receiver.hook(name)
    world.hooks[name] = world.server.subscribe(connection, object_type, hook_url, **fields)["id"]


def wait_for_state(world, name, what, **wanted):
    """Waits until the last object of `name` is like `wanted`."""

    def found():
        records = world.receiver.records(name)
        return records and all(records[-1].get(field) == value for field, value in wanted.items())

    wait_until(found, what, state=lambda: (world.receiver.records(name)[-3:], world.server.process.tail(15)))


def test_changes_are_found_by_polling_the_events(world):
    subscribe(world, "polled", world.polled, webhook_type="virtual")
    world.server.wait_for_polls(world.hooks["polled"])
    new = world.vendor.payout(2_000)
    world.receiver.wait_for("polled", [new], "the new payout")
    wait_for_state(world, "polled", "its amount", id=new, total_amount=20, currency="EUR", status="PENDING")
    world.vendor.call("POST", f"/v1/payouts/{new}", **{"metadata[note]": "changed"})
    equal([record["id"] for record in world.receiver.records("polled") if record["id"] in world.old], [], "old payouts")


def test_two_registrations_have_a_secret_each_and_both_are_believed(world):
    subscribe(world, "pushed", world.pushed, webhook_type="native", interval=NEVER)
    subscribe(world, "invoices", world.pushed, "accounting_invoice", webhook_type="native", interval=NEVER)
    wait_until(lambda: len(world.vendor.hooks) == 2, "two endpoints", state=lambda: world.server.process.tail(15))
    check(len({secret for _, _, secret in world.vendor.hooks.values()}) == 2, "two secrets")
    for name in ("pushed", "invoices"):
        wait_until(lambda: world.server.webhook(world.hooks[name]).get("checked_at"), f"the first poll of {name}")
    # A poll may be under way still, or come once more for a push that came before the secret was kept.
    first = world.vendor.payout(2_500)
    world.receiver.wait_for("pushed", [first], "the first payout")
    new = [world.vendor.payout(3_000 + number) for number in range(5)]
    world.receiver.wait_for("pushed", new, "pushed payouts")
    check(set(new) <= set(world.receiver.ids("pushed", "NATIVE")), "payouts that came by push")
    customer, invoice = world.vendor.subscription(1_500)
    world.receiver.wait_for("invoices", [invoice], "a pushed invoice")
    wait_for_state(world, "invoices", "its total", id=invoice, total_amount=15, contact_id=customer)


def test_two_events_of_one_second_end_with_the_later_one(world):
    paid = world.vendor.call("POST", "/v1/payouts", amount=7_000, currency="eur", status="paid")["id"]
    world.receiver.wait_for("pushed", [paid], "a payout with two events at once")
    wait_for_state(world, "pushed", "its last state", id=paid, status="SUCCEEDED")


def test_what_was_pushed_is_not_told_again_by_polling(world):
    subscribe(world, "both", world.both, webhook_type="native")
    wait_until(lambda: len(world.vendor.hooks) == 3, "another endpoint", state=lambda: world.server.process.tail(15))
    world.server.wait_for_polls(world.hooks["both"])
    new = [world.vendor.payout(8_000 + number) for number in range(5)]
    world.receiver.wait_for("both", new, "payouts that both tell of")
    world.receiver.wait_for("pushed", new, "the same ones where nothing is polled")
    world.server.wait_for_polls(world.hooks["both"], 8)
    equal(sorted(world.receiver.ids("both")), sorted(new), "each payout once")
    world.receiver.check_promises("both")


def test_a_signature_of_another_secret_is_refused(world):
    url, _, _ = next(iter(world.vendor.hooks.values()))
    for headers, status in (
        ({}, 400),
        ({"stripe-signature": "t=1,v1=00"}, 401),
    ):
        answer = http("POST", url, b'{"id":"evt_x"}', headers)
        equal(answer.status, status, f"status with {headers}")
