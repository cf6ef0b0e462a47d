"""localstripe, which stands in for Stripe, and a front that fills its gaps: where its lists of events and its way to
set up webhooks are not as docs.stripe.com says. What it pushes and signs is its own and comes directly."""

import contextlib
import http.server
import json
import os
import pathlib
import secrets
import sys
import threading
import urllib.parse

from lib import ROOT, Process, check, free_port, http as call, run

VENV = pathlib.Path(os.environ.get("E2E_STRIPE_VENV", ROOT / "target" / "e2e-stripe-venv"))
PACKAGES = ["localstripe==1.15.10"]
KEY = "sk_test_12345"
# Its own start listens on all interfaces.
SERVE = """
import socket, sys
from aiohttp import web
from localstripe.server import app
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("127.0.0.1", int(sys.argv[1])))
web.run_app(app, sock=sock, print=None)
"""


def python():
    program = VENV / "bin" / "python"
    if not (VENV / "bin" / "localstripe").exists():
        run([sys.executable, "-m", "venv", VENV], "venv")
        run([program, "-m", "pip", "install", "--quiet", *PACKAGES], "pip", 600)
    return program


class Stripe:
    """A running localstripe behind its front."""

    key = KEY

    def __init__(self, inner):
        self.inner, self.url, self.hooks = inner, None, {}

    def call(self, method, path, **fields):
        """A request as Stripe's clients send it; answers the object."""
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(fields).encode() if method == "POST" else None
        answer = call(method, f"{self.inner}{path}", body, headers)
        check(answer.status == 200, f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json

    def payout(self, amount):
        return self.call("POST", "/v1/payouts", amount=amount, currency="eur")["id"]

    def subscription(self, amount):
        """A customer who pays monthly; answers their id and that of the first invoice."""
        details = {"card[number]": "4242424242424242", "card[exp_month]": 12, "card[exp_year]": 2099, "card[cvc]": 123}
        card = self.call("POST", "/v1/tokens", **details)["id"]
        customer = self.call("POST", "/v1/customers", email="ann@example.com", source=card)["id"]
        plan = self.call("POST", "/v1/plans", amount=amount, currency="eur", interval="month", name="Seats")["id"]
        self.call("POST", "/v1/subscriptions", customer=customer, **{"items[0][plan]": plan})
        return customer, self.call("GET", f"/v1/invoices?customer={customer}")["data"][0]["id"]

    def events(self, query):
        """Newest first, with groups of types, as "List all events" has it: localstripe has neither."""
        rows, after = [], None
        while True:
            more = {"starting_after": after} if after else {}
            gte = {"created[gte]": query["created[gte]"]} if "created[gte]" in query else {}
            page = self.call("GET", "/v1/events?" + urllib.parse.urlencode({"limit": 100, **gte, **more}))
            rows += page["data"]
            if not page["has_more"]:
                break
            after = page["data"][-1]["id"]
        prefix = query["type"].removesuffix("*")
        # Those of one second stay in the order they came in, the other way round.
        rows = [row for row in reversed(rows) if row["type"].startswith(prefix)]
        rows.sort(key=lambda row: row["created"], reverse=True)
        start = next((at + 1 for at, row in enumerate(rows) if row["id"] == query.get("starting_after")), 0)
        size = int(query.get("limit", 10))
        part = rows[start : start + size]
        return {"object": "list", "url": "/v1/events", "data": part, "has_more": len(rows) > start + size}

    def register(self, form):
        """`POST /v1/webhook_endpoints`: each endpoint has a secret of its own, told once."""
        hook_id, secret = f"we_{len(self.hooks)}", f"whsec_{secrets.token_hex(16)}"
        self.hooks[hook_id] = (form["url"][0], form["enabled_events[]"], secret)
        config = {"url": form["url"][0], "secret": secret, "events": form["enabled_events[]"]}
        answer = call("POST", f"{self.inner}/_config/webhooks/{hook_id}", config)
        check(answer.status == 200, f"localstripe takes no webhook: {answer.body[:300]!r}")
        return {"id": hook_id, "object": "webhook_endpoint", "url": form["url"][0], "secret": secret}


@contextlib.contextmanager
def front(stripe):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            url = urllib.parse.urlsplit(self.path)
            status = 200
            match self.command, url.path:
                case "GET", "/v1/events":
                    found = stripe.events(dict(urllib.parse.parse_qsl(url.query)))
                case "POST", "/v1/webhook_endpoints":
                    found = stripe.register(urllib.parse.parse_qs(body.decode()))
                case "DELETE", path if path.startswith("/v1/webhook_endpoints/"):
                    found = {"id": path.rsplit("/", 1)[1], "deleted": True}
                    stripe.hooks.pop(found["id"], None)
                case _:
                    headers = {"authorization": self.headers["authorization"]}
                    answer = call(self.command, f"{stripe.inner}{self.path}", body or None, headers)
                    status, found = answer.status, answer.json
            if self.headers["authorization"] != f"Bearer {KEY}":
                status, found = 401, {"error": {"type": "invalid_request_error"}}
            sent = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stripe.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield stripe
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def localstripe(directory):
    """Serves a localstripe that begins with nothing, on loopback alone, and ends it."""
    port = free_port()
    server = Process([python(), "-c", SERVE, port], cwd=directory)
    try:
        server.wait_to_answer(f"http://127.0.0.1:{port}/v1/events")
        with front(Stripe(f"http://127.0.0.1:{port}")) as stripe:
            yield stripe
    finally:
        server.stop()
