"""What all end-to-end suites share: child processes, free ports, waiting on conditions, a small HTTP client."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = pathlib.Path(__file__).resolve().parent / "config"

# How often a condition is looked at, and how long at most where the caller names no deadline.
LOOK_EVERY_S = 0.05
DEADLINE_S = 60.0
# How long a process may take to end after SIGTERM.
STOP_S = 20.0


class Failed(AssertionError):
    """A promise that was not kept."""


def check(truth, message):
    """Fails with `message` unless `truth`."""
    if not truth:
        raise Failed(message)


def equal(found, wanted, what):
    """Fails unless both are equal, and shows both."""
    check(found == wanted, f"{what}:\n  found  {short(found)}\n  wanted {short(wanted)}")


def short(value, limit=2000):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def wait_until(condition, what, deadline_s=DEADLINE_S, state=None):
    """Waits for `condition()` to be true and answers it. `state()` is what a failure shows."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            seen = f"; state: {short(state(), 8000)}" if state else ""
            raise Failed(f"not within {deadline_s:.0f} s: {what}{seen}")
        time.sleep(LOOK_EVERY_S)


def wait_until_seeds_are_old():
    """Waits until what was just written is surely in the past for a server that starts now.

    Vendors tell their time in whole seconds, so a start is known to a second only, and the same goes for a change.
    """
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now + 1, "two seconds to pass")


def free_port():
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def temporary_directory():
    with tempfile.TemporaryDirectory(prefix="anyhook-e2e-", ignore_cleanup_errors=True) as path:
        yield pathlib.Path(path)


class Answer:
    """A status, headers and body. `json` parses it."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def http(method, url, body=None, headers=None, deadline_s=30.0):
    """One request; any status is an answer. A body that is not bytes is sent as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=deadline_s) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.headers, refused.read())


def answers(url):
    """True if a server answers there, whatever it says."""
    try:
        return http("GET", url, deadline_s=5).status > 0
    except OSError:
        return False


def run(command, what, deadline_s=300.0, **options):
    """Runs a command to its end and answers its output; fails with it if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s,
        text=True,
        check=False,
        **options,
    )
    check(done.returncode == 0, f"{what} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


class Process:
    """A child in a process group of its own, with its output kept in memory, ended with all its children."""

    def __init__(self, command, env=None, cwd=None, lines_max=5000):
        self.lines, self.lines_max = [], lines_max
        self.child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **{key: str(value) for key, value in (env or {}).items()}},
            cwd=cwd,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            del self.lines[: -self.lines_max]

    def line_with(self, text):
        """The first line of output that holds `text`, once there is one; fails if the process ends before."""

        def found():
            hit = next((line for line in list(self.lines) if text in line), None)
            if hit is None and self.child.poll() is not None:
                self.reader.join(5)
                hit = next((line for line in list(self.lines) if text in line), None)
                check(hit, f"{self.child.args[0]} ended with {self.child.returncode}:\n{self.tail()}")
            return hit

        return wait_until(found, f"{self.child.args[0]} prints {text!r}", state=self.tail)

    def wait_to_answer(self, url, deadline_s=DEADLINE_S):
        def up():
            check(self.child.poll() is None, f"{self.child.args[0]} ended with {self.child.returncode}:\n{self.tail()}")
            return answers(url)

        wait_until(up, f"{self.child.args[0]} answers at {url}", deadline_s, state=self.tail)

    def tail(self, count=40):
        return "\n".join(self.lines[-count:])

    def kill(self):
        """SIGKILL, as a power cut would."""
        self._signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        """SIGTERM, and SIGKILL where that is not enough. Answers the exit code."""
        self._signal(signal.SIGTERM)
        try:
            code = self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            code = None
        self._signal(signal.SIGKILL)
        self.child.wait()
        return code

    def _signal(self, number):
        # The group outlives its leader where a worker still runs.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)
