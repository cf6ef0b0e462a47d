"""The official SDKs, as they come from their registries, against the running server: every answer must parse."""

import contextlib
import json
import re
import subprocess
import types

from unified_python_sdk import UnifiedTo
from unified_python_sdk.models import errors, shared

from anyhook import KEY, SECRET, anyhook, simulator
from lib import ROOT, check, equal, run, temporary_directory, wait_until
from receiver import receiver

SDK = ROOT / "tests" / "sdk"
RECORDS = 130


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, simulator("--records", str(RECORDS)) as vendor:
        with receiver(SECRET) as subscriber, anyhook(directory) as server:
            yield types.SimpleNamespace(server=server, vendor=vendor, receiver=subscriber)


def refused(status, act):
    try:
        act()
    except errors.UnifiedToError as refusal:
        equal(refusal.status_code, status, f"status of {refusal}")
    else:
        check(False, f"not refused with {status}")


def test_python(world):
    sdk = UnifiedTo(security=shared.Security(jwt=KEY), server_url=world.server.url)
    python_integrations(sdk)
    connection = python_connections(sdk, world.vendor.url)
    webhook = python_webhooks(sdk, connection, world.receiver)
    python_api_calls(sdk, webhook)
    python_notifications(sdk, connection, webhook)
    sdk.webhook.remove_unified_webhook(request={"id": webhook.id})
    refused(404, lambda: sdk.webhook.get_unified_webhook(request={"id": webhook.id}))
    sdk.connection.remove_unified_connection(request={"id": connection.id})
    refused(404, lambda: sdk.connection.get_unified_connection(request={"id": connection.id}))
    stranger = UnifiedTo(security=shared.Security(jwt="another key"), server_url=world.server.url)
    refused(401, lambda: stranger.webhook.list_unified_webhooks(request={}))


def python_integrations(sdk):
    found = sdk.integration.list_unified_integrations(request={"limit": 100, "offset": 0}).integrations
    equal({"github", "redmine", "sandbox", "wordpress"} - {one.type for one in found}, set(), "integrations missing")
    sandbox = next(one for one in found if one.type == "sandbox")
    check("virtual" in sandbox.support["crm_contact"].webhook_events.updated, sandbox.support["crm_contact"])
    kms = sdk.integration.list_unified_integrations(request={"categories": ["kms"]}).integrations
    check("wordpress" in [one.type for one in kms] and all("kms" in one.categories for one in kms), kms)


def python_connections(sdk, vendor_url):
    made = sdk.connection.create_unified_connection(
        request={
            "integration_type": "sandbox",
            "categories": ["crm"],
            "permissions": ["crm_contact_read", "webhook"],
            "auth": {"api_url": vendor_url, "token": "sandbox"},
        }
    ).connection
    check(re.fullmatch("[0-9a-f]{24}", made.id), made)
    check(made.auth is None or made.auth.token is None, f"a credential was answered: {made.auth}")
    equal(sdk.connection.get_unified_connection(request={"id": made.id}).connection.id, made.id, "get")
    listed = sdk.connection.list_unified_connections(request={"limit": 10, "sort": "created_at", "order": "desc"})
    check(made.id in [one.id for one in listed.connections], listed.connections)
    for verb in ("update", "patch"):
        change = getattr(sdk.connection, f"{verb}_unified_connection")
        made.external_xref = f"by {verb}"
        changed = change(request={"id": made.id, "connection": made}).connection
        equal(changed.external_xref, f"by {verb}", verb)
        equal(changed.created_at, made.created_at, f"created_at after {verb}")
    return made


def python_webhooks(sdk, connection, subscriber):
    made = sdk.webhook.create_unified_webhook(
        request={
            "webhook": {
                "connection_id": connection.id,
                "object_type": "crm_contact",
                "event": "updated",
                "hook_url": subscriber.hook("python"),
                "interval": 1,
                "page_max_limit": 40,
            },
            "include_all": True,
        }
    ).webhook
    equal((made.webhook_type, made.is_healthy, made.interval), ("virtual", True, 1), "webhook")
    equal(sdk.webhook.get_unified_webhook(request={"id": made.id}).webhook.hook_url, made.hook_url, "get")
    query = {"connection_id": connection.id, "object": "crm_contact", "is_healthy": True, "limit": 10, "offset": 0}
    listed = sdk.webhook.list_unified_webhooks(request=query).webhooks
    equal([one.id for one in listed], [made.id], "list")
    for number, verb in enumerate(("update", "patch"), 2):
        change = getattr(sdk.webhook, f"{verb}_unified_webhook")
        made.interval = number
        equal(change(request={"id": made.id, "webhook": made}).webhook.interval, number, verb)
    subscriber.wait_for_initial("python")
    for verb in ("update", "patch"):
        getattr(sdk.webhook, f"{verb}_unified_webhook_trigger")(request={"id": made.id})
        resume = getattr(sdk.webhook, f"{verb}_unified_webhook_resume")
        equal(resume(request={"id": made.id}).webhook.is_healthy, True, f"is_healthy after {verb} resume")
    return made


def python_api_calls(sdk, webhook):
    def rows():
        return sdk.apicall.list_unified_apicalls(request={"webhook_id": webhook.id, "limit": 10}).api_calls

    wait_until(rows, "audit rows of the webhook")
    row = rows()[0]
    equal((row.webhook_id, row.type, row.status), (webhook.id, "webhook", "200"), "an attempt's row")
    equal(sdk.apicall.get_unified_apicall(request={"id": row.id}).api_call.id, row.id, "get")
    polls = sdk.apicall.list_unified_apicalls(request={"connection_id": webhook.connection_id, "type": "inbound"})
    check(polls.api_calls and all(one.type == "inbound" for one in polls.api_calls), polls.api_calls)


def python_notifications(sdk, connection, webhook):
    query = {"limit": 50, "offset": 0, "order": "desc", "sort": "updated_at"}
    rows = sdk.notification.list_unified_notifications(request=query).notifications
    of_webhook = [one for one in rows if one.webhook_id == webhook.id]
    equal(of_webhook[-1].event, shared.Event.WEBHOOK_CREATED, "what was told of the webhook first")
    check("BACKFILL_COMPLETED" in [one.event for one in of_webhook], "the end of the history was not told")
    of_connection = [one for one in rows if one.connection_id == connection.id]
    equal(of_connection[-1].event, shared.Event.CONNECTION_CREATED, "what was told of the connection first")
    times = [one.created_at for one in rows]
    equal(times, sorted(times, reverse=True), "newest first")
    check(all(one.id and one.description and one.integration_name == "Sandbox" for one in rows), rows)
    query = {"limit": 1, "updated_gte": times[0].isoformat().replace("+00:00", "Z")}
    newest = sdk.notification.list_unified_notifications(request=query).notifications
    equal([one.id for one in newest], [rows[0].id], "limit and updated_gte")


def test_typescript(world):
    hook = world.receiver.hook("typescript")
    out = run(["node", SDK / "typescript.mjs", world.server.url, KEY, world.vendor.url, hook], "typescript.mjs")
    check(json.loads(out.splitlines()[-1])["integrations"] >= 4, out)


def test_the_history_that_they_asked_for_arrived(world):
    wanted = sorted(world.vendor.state("contacts"))
    equal(sorted(world.receiver.ids("python")), wanted, "contacts at the receiver")
    world.receiver.check_promises("python", page_max=40)


def test_npm_standardwebhooks_accepts_every_delivery(world):
    deliveries = world.receiver.of("python")
    check(len(deliveries) >= RECORDS // 40, deliveries)
    for delivery in deliveries[:3] + deliveries[-1:]:
        parcel = {"secret": SECRET, "headers": delivery.headers, "body": delivery.body.decode()}
        done = subprocess.run(
            ["node", SDK / "verify.mjs"], input=json.dumps(parcel), text=True, capture_output=True, timeout=60
        )
        equal(done.returncode, 0, f"verify.mjs of {delivery}: {done.stdout}{done.stderr}")
