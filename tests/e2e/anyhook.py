"""Anyhook itself: the server as a child process on a directory of its own, its API, and its simulator."""

import contextlib
import os

from lib import ROOT, Process, check, equal, http, wait_until

BINARY = os.environ.get("E2E_ANYHOOK", str(ROOT / "target" / "debug" / "anyhook"))
# Another build (upgrade.py). It is no setting of the program, which refuses those that it does not know.
BESIDE = os.environ.pop("ANYHOOK_BESIDE", None)
KEY = "e2e-api-key-0123456789"
# Standard Webhooks' form of a secret: the base64 of at least 24 bytes behind a prefix.
SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtb2YtdGhlLXRlc3Rz"
LOOPBACK = "127.0.0.0/8"
# Webhooks' intervals are minutes; this is the floor set below.
INTERVAL = 0.005
SETTINGS = {
    "ANYHOOK_LISTEN": "127.0.0.1:0",
    "ANYHOOK_API_KEY": KEY,
    "ANYHOOK_WORKSPACE_SECRET": SECRET,
    "ANYHOOK_VENDORS_ALLOW": LOOPBACK,
    "ANYHOOK_DESTINATIONS_ALLOW": LOOPBACK,
    "ANYHOOK_INTERVAL_FLOOR_MS": "300",
    "ANYHOOK_DELIVER_RETRY_SCHEDULE_MS": ",".join(["150"] * 40 + ["1000"] * 60),
    "ANYHOOK_LOG": "info",
}


class Api:
    """The API at `url`."""

    def call(self, method, path, body=None, status=200):
        """A request to the API, which must be answered with `status`; the answer's JSON, if it has some."""
        answer = http(method, f"{self.url}{path}", body, {"authorization": KEY})
        check(answer.status == status, f"{method} {path}: {answer.status}, not {status}: {answer.body[:800]!r}")
        return answer.json if answer.body else None

    def connect(self, integration, categories, **auth):
        """Imports a connection and answers its id."""
        body = {"integration_type": integration, "categories": categories, "permissions": ["webhook"], "auth": auth}
        return self.call("POST", "/unified/connection", body)["id"]

    def subscribe(self, connection_id, object_type, hook_url, event="updated", include_all=False, **fields):
        """Makes a webhook and answers it."""
        body = {
            "connection_id": connection_id,
            "object_type": object_type,
            "event": event,
            "hook_url": hook_url,
            "interval": INTERVAL,
            **fields,
        }
        return self.call("POST", f"/unified/webhook?include_all={str(include_all).lower()}", body)

    def webhook(self, webhook_id):
        return self.call("GET", f"/unified/webhook/{webhook_id}")

    def wait_for_polls(self, webhook_id, runs=2):
        """Waits until the webhook's feed has been checked `runs` more times: whatever was to be found has been."""
        for _ in range(runs):
            before = self.webhook(webhook_id).get("checked_at")
            wait_until(
                lambda: self.webhook(webhook_id).get("checked_at") != before,
                f"another poll of webhook {webhook_id}",
                state=lambda: (self.webhook(webhook_id), self.process.tail(15)),
            )


class Anyhook(Api):
    """A server that can be killed and started again on the same directory."""

    def __init__(self, directory, **settings):
        self.env = {**SETTINGS, "ANYHOOK_DATA_DIR": str(directory / "anyhook-data"), **settings}
        self.binary, self.process, self.url = BINARY, None, None

    def start(self):
        self.process = Process([self.binary, "serve"], self.env)
        line = self.process.line_with("listening on http://")
        self.url = "http://" + line.split("listening on http://", 1)[1].split()[0].rstrip("/")
        return self

    def kill(self):
        self.process.kill()

    def stop(self):
        """Drains it as SIGTERM does, which must end well."""
        if self.process and self.process.child.poll() is None:
            equal(self.process.stop(), 0, f"exit code after SIGTERM\n{self.process.tail()}")


@contextlib.contextmanager
def anyhook(directory, **settings):
    server = Anyhook(directory, **settings)
    try:
        yield server.start()
        server.stop()
    finally:
        # A failure must not leave it running, nor hide behind how it ends.
        if server.process:
            server.process.kill()


class Simulator:
    """The vendor of Anyhook's own making, and its control API."""

    def __init__(self, url):
        self.url = url

    def control(self, method, path, body=None):
        answer = http(method, f"{self.url}/_control{path}", body)
        check(answer.status < 300, f"{method} /_control{path}: {answer.status} {answer.body[:500]!r}")
        return answer.json if answer.body else None

    def create(self, objects, **fields):
        return self.control("POST", f"/{objects}", fields)["id"]

    def change(self, objects, record_id, **fields):
        self.control("PATCH", f"/{objects}/{record_id}", fields)

    def delete(self, objects, record_id):
        self.control("DELETE", f"/{objects}/{record_id}")

    def changes_per_second(self, rate):
        self.control("POST", "/settings", {"changes_per_second": rate})

    def state(self, objects):
        """Every record as it is now, by id."""
        records, after = {}, ""
        while after is not None:
            page = self.control("GET", f"/state/{objects}?limit=5000&after={after}")
            records.update((record["id"], record) for record in page["data"])
            after = page["next_after"]
        return records

    def history(self):
        """Every change there was, oldest first."""
        rows, last = [], 0
        while True:
            page = self.control("GET", f"/history?limit=5000&after={last}")
            equal(page["dropped"], 0, "changes that the simulator no longer remembers")
            if not page["data"]:
                return rows
            rows += page["data"]
            last = rows[-1]["seq"]


@contextlib.contextmanager
def simulator(*flags):
    process = Process([BINARY, "simulator", "--listen", "127.0.0.1:0", *flags])
    try:
        line = process.line_with("http://")
        yield Simulator("http://" + line.split("http://", 1)[1].split()[0].rstrip("/"))
    finally:
        process.stop()
