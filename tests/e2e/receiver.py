"""A subscriber: takes deliveries on loopback, verifies each with independent means, and answers what it is told to."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time

import standardwebhooks

from lib import check, equal, wait_until


class Delivery:
    """One attempt as it arrived, and the status it was answered with."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.at, self.status = time.monotonic(), None
        self.payload = json.loads(body)
        self.id = headers["webhook-id"]
        self.sequence = headers["anyhook-sequence"]
        self.type, self.records = self.payload["type"], self.payload["data"]
        self.webhook_id = self.payload["webhook"]["id"]

    @property
    def accepted(self):
        return self.status is not None and self.status < 300

    def data_bytes(self):
        """The exact bytes of the `data` array within the body."""
        text = self.body.decode()
        start = text.index('"data":') + len('"data":')
        _, end = json.JSONDecoder().raw_decode(text, start)
        return text[start:end].encode()

    def __repr__(self):
        return f"{self.type}({len(self.records)}, id {self.id}, seq {self.sequence}, {self.status})"


def verify(delivery, secret):
    """Fails unless all three signatures are right."""
    payload = delivery.payload
    data = delivery.data_bytes()
    # The promise that a receiver which only has the parsed body relies on.
    printed = json.dumps(payload["data"], separators=(",", ":"), ensure_ascii=False).encode()
    equal(printed, data, "data printed again")
    for field, digest in (("sig", hashlib.sha1), ("sig256", hashlib.sha256)):
        mac = hmac.new(secret.encode(), data + payload["nonce"].encode(), digest)
        equal(payload[field], base64.b64encode(mac.digest()).decode(), field)
    standardwebhooks.Webhook(secret).verify(delivery.body, dict(delivery.headers))


class Receiver:
    """Deliveries by path. `rule` decides the status of an attempt; it runs in the request's thread."""

    def __init__(self, url, secret):
        self.url, self.secret = url, secret
        self.rule = lambda delivery: 200
        self.attempts, self.problems = [], []
        self.lock = threading.Lock()

    def take(self, path, headers, body):
        try:
            delivery = Delivery(path, headers, body)
            verify(delivery, self.secret)
        except Exception as problem:  # whatever it is, the suite must see it
            self.problems.append(f"{path}: {type(problem).__name__}: {problem}")
            return 400
        with self.lock:
            delivery.status = self.rule(delivery)
            self.attempts.append(delivery)
        return delivery.status

    def hook(self, name):
        return f"{self.url}/{name}"

    def of(self, name):
        """All attempts at one hook, in the order of arrival."""
        with self.lock:
            return [attempt for attempt in self.attempts if attempt.path == f"/{name}"]

    def batches(self, name, *types):
        """The deliveries that were accepted, each webhook-id once, of these types or all."""
        first = {}
        for attempt in self.of(name):
            if attempt.accepted:
                first.setdefault(attempt.id, attempt)
        return [batch for batch in first.values() if not types or batch.type in types]

    def records(self, name, *types):
        return [record for batch in self.batches(name, *types) for record in batch.records]

    def ids(self, name, *types):
        return [record["id"] for record in self.records(name, *types)]

    def wait_for_initial(self, name, deadline_s=120):
        """Waits for the end of the history and answers its records' ids."""
        wait_until(
            lambda: self.batches(name, "INITIAL-COMPLETE") or self.problems,
            f"INITIAL-COMPLETE at {name}",
            deadline_s,
            state=lambda: self.of(name)[-5:],
        )
        self.check_promises(name)
        return self.ids(name, "INITIAL-PARTIAL", "INITIAL-COMPLETE")

    def wait_for(self, name, wanted, what, deadline_s=60):
        """Waits until the ids that came as VIRTUAL or NATIVE include `wanted`."""
        wait_until(
            lambda: self.problems or set(wanted) <= set(self.ids(name, "VIRTUAL", "NATIVE")),
            what,
            deadline_s,
            state=lambda: (sorted(wanted), self.of(name)[-5:], self.problems[:3]),
        )

    def check_promises(self, name, page_max=None):
        """What holds of any hook at any time."""
        equal(self.problems, [], "deliveries that could not be verified")
        attempts = self.of(name)
        contents = {}
        for attempt in attempts:
            known = contents.setdefault(attempt.id, (attempt.data_bytes(), attempt.payload["nonce"], attempt.type))
            same = (attempt.data_bytes(), attempt.payload["nonce"], attempt.type)
            equal(same, known, f"data, nonce and type under webhook-id {attempt.id}")
            if page_max:
                check(len(attempt.records) <= page_max, f"{attempt} has more than {page_max} records")
        order = list(dict.fromkeys(attempt.id for attempt in attempts))
        kinds = {attempt.id: attempt.type for attempt in attempts}
        complete = [place for place, batch in enumerate(order) if kinds[batch] == "INITIAL-COMPLETE"]
        check(len(complete) <= 1, f"{len(complete)} different INITIAL-COMPLETE at {name}")
        late = [batch for batch in order[complete[0] :] if kinds[batch] == "INITIAL-PARTIAL"] if complete else []
        equal(late, [], f"INITIAL-PARTIAL after INITIAL-COMPLETE at {name}")
        for initial in (True, False):
            self._check_sequence(name, [a for a in attempts if a.type.startswith("INITIAL") == initial])

    def _check_sequence(self, name, attempts):
        """First deliveries come in the order of their sequence, and none twice under another id."""
        first = {}
        for attempt in attempts:
            first.setdefault(attempt.id, attempt)
        firsts = list(first.values())
        numbers = [sequence_key(first.sequence) for first in firsts]
        check(numbers == sorted(set(numbers)), f"anyhook-sequence at {name} does not grow: {firsts}")


def sequence_key(text):
    """Sequences compare as numbers, part by part where they have parts."""
    return tuple(int(part) for part in text.replace("-", ".").split("."))


@contextlib.contextmanager
def receiver(secret, see=None):
    """A receiver on a free port. `see` is told of each attempt (sightings.Sightings), where there is one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body go out in two writes; Nagle would hold the second one back.
        disable_nagle_algorithm = True
        # Whose the connection is, once that is known.
        pid = None

        def do_POST(self):
            began = time.monotonic()
            if see and not self.pid:
                self.pid = see.owner(self.client_address[1], self.server.server_address[1])
            body = self.rfile.read(int(self.headers["content-length"]))
            status = taking.take(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            if see:
                see.note(("deliver", self.path.removeprefix("/")), self.pid, began, time.monotonic())

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request, client_address):
            """A peer that was killed resets its connections: nothing to tell."""

    server = Server(("127.0.0.1", 0), Handler)
    taking = Receiver(f"http://127.0.0.1:{server.server_address[1]}", secret)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield taking
    finally:
        server.shutdown()
        server.server_close()
