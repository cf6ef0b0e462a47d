"""Webhooks that GitHub sent: verified, they reach the subscriber; forged, they change nothing."""

import contextlib
import datetime
import hashlib
import hmac
import json
import types

from anyhook import anyhook, SECRET
from github_stub import REPOSITORY, TOKEN, github_stub
from lib import ROOT, check, equal, http, temporary_directory, wait_until
from receiver import receiver

EXAMPLES = ROOT / "tests/sdk/node_modules/@octokit/webhooks-examples/api.github.com/index.json"
# docs.github.com, "Validating webhook deliveries": "Testing the webhook payload validation".
PUBLISHED = {
    "secret": "It's a Secret to Everybody",
    "body": b"Hello, World!",
    "signature": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
}


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, receiver(SECRET) as subscriber, github_stub() as vendor:
        with anyhook(directory) as server:
            auth = {"api_url": vendor.url, "token": TOKEN, "meta": {"webhook_secret": PUBLISHED["secret"]}}
            connection = server.connect("github", ["task", "repo"], **auth)
            hook = server.subscribe(
                connection,
                "task_task",
                subscriber.hook("issues"),
                webhook_type="native",
                filters={"repo_id": REPOSITORY},
            )
            equal(hook["webhook_type"], "native", "webhook_type")
            yield types.SimpleNamespace(
                server=server, vendor=vendor, receiver=subscriber, connection=connection, hook=hook["id"]
            )


def example(action):
    """What GitHub sent when someone did this to an issue, moved to today, as GitHub would send it today."""
    events = json.loads(EXAMPLES.read_text())
    payloads = next(event["examples"] for event in events if event["name"] == "issues")
    payload = next(
        one for one in payloads if one["action"] == action and one["repository"]["full_name"] == REPOSITORY
    )
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    payload["issue"]["updated_at"] = now
    return payload


def pushed_branch():
    """What GitHub sent when someone pushed to a branch, and the commit as GitHub lists it, made now."""
    events = json.loads(EXAMPLES.read_text())
    payloads = next(event["examples"] for event in events if event["name"] == "push")
    payload = next(one for one in payloads if one["ref"] == "refs/heads/master")
    commit = payload["commits"][0]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    person = {"name": commit["author"]["name"], "email": commit["author"]["email"], "date": now}
    listed = {
        "sha": commit["id"],
        "url": f"https://api.github.com/repos/{REPOSITORY}/commits/{commit['id']}",
        "commit": {"author": person, "committer": person, "message": commit["message"]},
        "author": {"login": payload["sender"]["login"]},
    }
    return payload, listed


def push(world, payload, event="issues", secret=PUBLISHED["secret"], signature=None):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": hashlib.sha256(body).hexdigest()[:32],
        "x-hub-signature-256": signature or f"sha256={mac}",
    }
    return http("POST", f"{world.server.url}/ingress/{world.connection}", body, headers).status


def arrived(world):
    return world.receiver.records("issues", "NATIVE", "VIRTUAL")


def test_the_webhook_is_registered_at_github(world):
    wait_until(lambda: world.vendor.hooks, "a webhook at GitHub", state=lambda: world.server.webhook(world.hook))
    hook = next(iter(world.vendor.hooks.values()))
    check(hook["config"]["url"].endswith(f"/ingress/{world.connection}"), hook)
    equal((hook["events"], hook["config"]["secret"]), (["issues"], PUBLISHED["secret"]), "events and secret")


def test_an_opened_issue_arrives(world):
    payload = example("opened")
    number = payload["issue"]["number"]
    world.vendor.issues[number] = payload["issue"]
    equal(push(world, payload), 200, "status")
    wait_until(lambda: arrived(world), "the issue", state=lambda: world.server.process.tail(10))
    record = arrived(world)[0]
    equal((record["id"], record["name"]), (f"{REPOSITORY}#{number}", payload["issue"]["title"]), "the issue")
    # GitHub sends a delivery again where it is asked to.
    equal(push(world, payload), 200, "status of the repeat")


def test_a_deleted_issue_arrives_as_native(world):
    world.server.subscribe(
        world.connection,
        "task_task",
        world.receiver.hook("deleted"),
        event="deleted",
        webhook_type="native",
        filters={"repo_id": REPOSITORY},
    )
    payload = example("deleted")
    number = payload["issue"]["number"]
    world.vendor.issues.pop(number)
    equal(push(world, payload), 200, "status")
    wait_until(lambda: world.receiver.of("deleted"), "the deletion", state=lambda: world.server.process.tail(10))
    batch = world.receiver.batches("deleted")[0]
    equal((batch.type, batch.records[0]["id"]), ("NATIVE", f"{REPOSITORY}#{number}"), "the deletion")


def test_a_forged_event_is_refused_and_leaves_nothing(world):
    before = len(world.receiver.attempts)
    forged = example("edited")
    forged["issue"]["title"] = "Forged"
    for secret, signature in (("a guess", None), ("", "sha256=00"), ("", PUBLISHED["signature"])):
        equal(push(world, forged, secret=secret, signature=signature), 401, f"status with {signature or secret}")
    body = json.dumps(forged).encode()
    bare = http("POST", f"{world.server.url}/ingress/{world.connection}", body, {"x-github-event": "issues"})
    check(bare.status in (400, 401), f"without a signature it was answered {bare.status}")
    # What came after it has been delivered, and it has not.
    genuine = example("opened")
    genuine["issue"] |= {"number": 8, "title": "Genuine", "url": f"https://api.github.com/repos/{REPOSITORY}/issues/8"}
    world.vendor.issues[8] = genuine["issue"]
    equal(push(world, genuine), 200, "status of the genuine one")
    wait_until(lambda: "Genuine" in [record["name"] for record in arrived(world)], "the genuine issue")
    check(len(world.receiver.attempts) > before, "no delivery at all")
    names = [record.get("name") for attempt in world.receiver.attempts for record in attempt.records]
    check("Forged" not in names, names)
    equal(world.receiver.problems, [], "problems")


def test_the_published_signature_is_accepted_and_only_it(world):
    # It is no event, so it is refused for what it says, not for who says it.
    status = push(world, PUBLISHED["body"], event="ping", signature=PUBLISHED["signature"])
    check(status in (200, 400, 422), f"the published signature was answered {status}")
    other = PUBLISHED["signature"][:-1] + "8"
    equal(push(world, PUBLISHED["body"], event="ping", signature=other), 401, "status of another signature")


def test_a_push_has_the_commits_listed_at_once(world):
    # Its polls are a day apart: only the push brings the next one forward.
    hook = world.server.subscribe(
        world.connection,
        "repo_commit",
        world.receiver.hook("commits"),
        event="created",
        webhook_type="native",
        filters={"repo_id": REPOSITORY},
        interval=1440,
    )
    wait_until(
        lambda: world.server.webhook(hook["id"]).get("checked_at"),
        "the first poll",
        state=lambda: world.server.process.tail(10),
    )
    equal(sorted(hook["events"][0] for hook in world.vendor.hooks.values()), ["issues", "push"], "webhooks at GitHub")
    payload, listed = pushed_branch()
    world.vendor.commits.insert(0, listed)
    equal(push(world, payload, event="push"), 200, "status")
    wait_until(
        lambda: world.receiver.records("commits", "NATIVE", "VIRTUAL"),
        "the commit",
        state=lambda: world.server.process.tail(10),
    )
    records = world.receiver.records("commits", "NATIVE", "VIRTUAL")
    found = [(record["id"], record["message"]) for record in records]
    equal(found, [(f"{REPOSITORY}@{listed['sha']}", payload["commits"][0]["message"])], "the commit")


def test_the_registration_ends_with_the_webhook(world):
    for hook in world.server.call("GET", f"/unified/webhook?connection_id={world.connection}"):
        world.server.call("DELETE", f"/unified/webhook/{hook['id']}")
    wait_until(lambda: not world.vendor.hooks, "no webhook left at GitHub", state=lambda: world.vendor.hooks)
