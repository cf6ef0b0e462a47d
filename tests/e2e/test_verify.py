"""Real deliveries before, while and after a secret is replaced, as independent verifiers of Standard Webhooks and the
examples of docs/verify see them: good, tampered with, and too old."""

import contextlib
import datetime
import hashlib
import hmac
import json
import subprocess
import types

import standardwebhooks

from anyhook import SECRET, anyhook, simulator
from lib import ROOT, check, equal, temporary_directory, wait_until
from receiver import receiver

EXAMPLES = {
    "python": ["python3", ROOT / "docs" / "verify" / "verify.py"],
    "node": ["node", ROOT / "docs" / "verify" / "verify.mjs"],
    "php": ["php", ROOT / "docs" / "verify" / "verify.php"],
}
NPM = ["node", ROOT / "tests" / "sdk" / "standard.mjs"]


@contextlib.contextmanager
def subscribed(world, hook, **fields):
    """A webhook that sees changes, and is gone afterwards: the next test's secret may be another."""
    connection = world.server.connect("sandbox", ["crm"], api_url=world.vendor.url, token="sandbox")
    webhook = world.server.subscribe(connection, "crm_contact", world.receiver.hook(hook), **fields)
    world.server.wait_for_polls(webhook["id"])
    yield webhook
    world.server.call("DELETE", f"/unified/webhook/{webhook['id']}")


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, simulator("--records", "20") as vendor:
        with receiver(SECRET) as subscriber, anyhook(directory) as server:
            yield types.SimpleNamespace(server=server, vendor=vendor, receiver=subscriber)


def is_good(command, parcel):
    """Runs a verifier on a delivery: true for status 0, false for 1; all else is a fault."""
    command = [str(part) for part in command]
    done = subprocess.run(command, input=json.dumps(parcel), text=True, capture_output=True, timeout=60)
    check(done.returncode in (0, 1) and done.stdout, f"{command}: {done.returncode} {done.stdout}{done.stderr}")
    return done.returncode == 0


def parcel_of(delivery):
    return {"headers": dict(delivery.headers), "body": delivery.body.decode()}


def sees(by, parcel, *secrets):
    """What all examples say of a delivery; they have to agree."""
    said = {name: is_good([*command, by, *secrets], parcel) for name, command in EXAMPLES.items()}
    check(len(set(said.values())) == 1, f"{by} of {short_of(parcel)} by {secrets}: {said}")
    return said["python"]


def libraries_see(parcel, secret):
    """What the libraries of PyPI and npm say of a delivery; they have to agree."""
    try:
        standardwebhooks.Webhook(secret).verify(parcel["body"].encode(), parcel["headers"])
        pypi = True
    except standardwebhooks.WebhookVerificationError:
        pypi = False
    equal(is_good(NPM, {**parcel, "secret": secret}), pypi, f"npm of {short_of(parcel)}")
    return pypi


def short_of(parcel):
    return parcel["headers"].get("webhook-id")


def next_delivery(world, hook, title):
    """Changes a record at the vendor and answers the delivery that tells of it."""
    record = sorted(world.vendor.state("contacts"))[0]
    world.vendor.change("contacts", record, title=title)
    told = lambda: [one for one in world.receiver.of(hook) if title in one.body.decode()]  # noqa: E731
    found = wait_until(lambda: told() or world.receiver.problems, f"{title} at {hook}")
    equal(world.receiver.problems, [], "deliveries that could not be verified")
    return parcel_of(found[0])


def test_a_workspaces_secret_is_replaced_and_nobody_refuses_anything(world):
    with subscribed(world, "rotated") as webhook:
        rotated(world, webhook)


def rotated(world, webhook):
    alone = next_delivery(world, "rotated", "Alone")
    made = world.server.call("POST", "/unified/workspace/secret", {"overlap": 3600})
    new, old_id = made["secret"], made["secrets"][1]["id"]
    both = next_delivery(world, "rotated", "Both")
    world.server.call("DELETE", f"/unified/workspace/secret/{old_id}")
    world.receiver.secret = new
    after = next_delivery(world, "rotated", "After")

    for parcel, name, old_is_good, new_is_good, sig_by in (
        (alone, "alone", True, False, SECRET),
        (both, "both", True, True, SECRET),
        (after, "after", False, True, new),
    ):
        for secret, wanted in ((SECRET, old_is_good), (new, new_is_good)):
            equal(libraries_see(parcel, secret), wanted, f"libraries, {name}")
            equal(sees("standard", parcel, secret), wanted, f"standard, {name}")
            equal(sees("sig256", parcel, secret), secret == sig_by, f"sig256, {name}")
        equal(sees("standard", parcel, new, SECRET), True, f"standard by either, {name}")
        equal(sees("sig256", parcel, new, SECRET), True, f"sig256 by either, {name}")
    equal(alone["headers"]["anyhook-version"], world.server.webhook(webhook["id"])["version"], "version")


def test_what_was_tampered_with_or_is_too_old_is_refused(world):
    with subscribed(world, "refused"):
        good = next_delivery(world, "refused", "Untouched")
    secret = world.receiver.secret
    equal((sees("standard", good, secret), sees("sig256", good, secret)), (True, True), "as it came")
    changed = {**good, "body": good["body"].replace("Untouched", "Tampered!")}
    equal((sees("standard", changed, secret), sees("sig256", changed, secret)), (False, False), "another body")
    for name, value in (("webhook-id", "msg_0"), ("webhook-timestamp", "soon"), ("webhook-signature", "v1,AAAA")):
        equal(sees("standard", {**good, "headers": {**good["headers"], name: value}}, secret), False, name)
    equal(sees("standard", {**good, "headers": {}}, secret), False, "no headers")
    for body in ("", "null", "[]", '{"data":[', '{"data":["', '{"data":[],"nonce":1}'):
        equal(sees("sig256", {**good, "body": body}, secret), False, body)

    # Signed by another implementation, whose times we may choose.
    now, message = datetime.datetime.now(tz=datetime.timezone.utc), good["headers"]["webhook-id"]
    for seconds, wanted in ((0, True), (290, True), (-290, True), (310, False), (-310, False)):
        at = now - datetime.timedelta(seconds=seconds)
        signature = standardwebhooks.Webhook(secret).sign(msg_id=message, timestamp=at, data=good["body"])
        headers = {"webhook-id": message, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        equal(sees("standard", {**good, "headers": headers}, secret), wanted, f"{seconds} s ago")


def test_a_webhooks_own_secret_signs_alone_and_in_githubs_form_where_asked_for(world):
    workspaces = world.receiver.secret
    given = "whsec_YS13ZWJob29rcy1vd24tc2VjcmV0LW9mLTMyLWJ5dGVz"
    world.receiver.secret = given
    with subscribed(world, "own", secret=given, hub_signature=True) as webhook:
        equal(webhook["secret"], given, "the answer to who set it")
        check("secret" not in world.server.webhook(webhook["id"]), "the secret is shown again")
        parcel = next_delivery(world, "own", "Own")
    for secret, wanted in ((given, True), (workspaces, False)):
        equal(libraries_see(parcel, secret), wanted, "own, libraries")
        equal((sees("standard", parcel, secret), sees("sig256", parcel, secret)), (wanted, wanted), "own")
    digest = hmac.new(given.encode(), parcel["body"].encode(), hashlib.sha256).hexdigest()
    equal(parcel["headers"]["x-hub-signature-256"], f"sha256={digest}", "GitHub's form")
