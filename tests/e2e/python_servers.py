"""Servers from PyPI that stand in for vendors: Kinto and Radicale."""

import base64
import contextlib
import pathlib
import sys

from lib import Process, check, free_port, http

KINTO_INI = """[server:main]
use = egg:waitress
host = 127.0.0.1
port = {port}
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.includes = kinto.plugins.accounts
kinto.userid_hmac_secret = for tests only
multiauth.policies = account
multiauth.policy.account.use = kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy
kinto.account_create_principals = system.Everyone
kinto.bucket_create_principals = system.Authenticated
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""
RADICALE = """[server]
hosts = 127.0.0.1:{port}
[auth]
type = none
[storage]
filesystem_folder = {folder}
"""


def executable(name):
    """A program of the environment that this runs in (tests/sdk/requirements.txt)."""
    program = pathlib.Path(sys.executable).parent / name
    check(program.exists(), f"{program} is not there: ./test.sh installs it")
    return program


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Kinto:
    """A running Kinto with one collection."""

    user, password, bucket, collection = "admin", "a password", "crm", "people"

    def __init__(self, url):
        self.url = url
        self.records = f"/buckets/{self.bucket}/collections/{self.collection}/records"

    def call(self, method, path, body=None):
        answer = http(method, f"{self.url}{path}", body, {"authorization": basic(self.user, self.password)})
        check(answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json

    def set_up(self):
        http("PUT", f"{self.url}/accounts/{self.user}", {"data": {"password": self.password}})
        self.call("PUT", f"/buckets/{self.bucket}", {})
        self.call("PUT", f"/buckets/{self.bucket}/collections/{self.collection}", {})
        return self

    def put(self, record_id, **fields):
        self.call("PUT", f"{self.records}/{record_id}", {"data": fields})
        return record_id

    def delete(self, record_id):
        self.call("DELETE", f"{self.records}/{record_id}")


@contextlib.contextmanager
def kinto(directory):
    """Serves a Kinto that keeps its data in memory, and ends it."""
    port, settings = free_port(), directory / "kinto.ini"
    settings.write_text(KINTO_INI.format(port=port))
    server = Process([executable("kinto"), "start", "--ini", settings, "--port", port])
    try:
        server.wait_to_answer(f"http://127.0.0.1:{port}/v1/")
        yield Kinto(f"http://127.0.0.1:{port}/v1").set_up()
    finally:
        server.stop()


class Calendar:
    """A calendar of a running Radicale."""

    user = "ann"

    def __init__(self, url, folder):
        self.url, self.folder = url, folder

    def call(self, method, name="", body=None):
        headers = {"authorization": basic(self.user, "any"), "content-type": "text/calendar"}
        answer = http(method, f"{self.url}/{name}", body, headers)
        check(answer.status in (200, 201, 204), f"{method} {name}: {answer.status} {answer.body[:500]!r}")

    def put(self, name, summary, start="20260305T120000Z"):
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//e2e//e2e//EN", "BEGIN:VEVENT", f"UID:{name}"]
        lines += ["DTSTAMP:20260101T080000Z", f"DTSTART:{start}", f"SUMMARY:{summary}", "END:VEVENT", "END:VCALENDAR"]
        self.call("PUT", name, "".join(line + "\r\n" for line in lines).encode())
        return name

    def delete(self, name):
        self.call("DELETE", name)

    def forget_tokens(self):
        """Loses all sync tokens, as a server does that keeps them for a while only."""
        tokens = list(self.folder.rglob(".Radicale.cache/sync-token/*"))
        check(tokens, f"no sync tokens below {self.folder}")
        for token in tokens:
            token.unlink()


@contextlib.contextmanager
def radicale(directory):
    """Serves a Radicale with one calendar, and ends it."""
    port, settings, folder = free_port(), directory / "radicale.ini", directory / "radicale"
    settings.write_text(RADICALE.format(port=port, folder=folder))
    server = Process([executable("radicale"), "--config", settings])
    try:
        server.wait_to_answer(f"http://127.0.0.1:{port}/.web")
        calendar = Calendar(f"http://127.0.0.1:{port}/ann/work", folder)
        calendar.call("MKCALENDAR")
        yield calendar
    finally:
        server.stop()
