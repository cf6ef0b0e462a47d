"""A PostgreSQL of the suite's own, which it may restart and vex."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import urllib.parse

from lib import ROOT, check, run

STARTER = ROOT / "tests" / "with_postgres.sh"
# Of a disk of its own.
DISK_BYTES = 1 << 30
# The names of what the starter tells its command.
TOLD = ("DATABASE_URL", "TEST_PGDATA", "TEST_PGBIN")


class Postgres:
    """A server of one database."""

    def __init__(self, disk, url, data, programs):
        self.disk, self.url, self.data, self.programs = disk, url, data, programs
        self.port = urllib.parse.urlsplit(url).port

    def url_through(self, port):
        """The database's URL by another port of this machine."""
        return self.url.replace(f":{self.port}/", f":{port}/")

    def start(self, options):
        """Starts it with these options, where its directory is there and it is not running."""
        self._pg_ctl("-w", "-t", "60", "-l", f"{self.data}/log", "-o", options, "start")

    def promote(self):
        """Has it follow nobody any more, and take writes."""
        self._pg_ctl("-w", "-t", "60", "promote")

    def set(self, name, value):
        """Changes a setting of the server, for sessions that there are too."""
        self.ask(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")

    def restart(self, mode):
        """Stops it as pg_ctl's `fast` or `immediate` does, the latter as a crash, and starts it again."""
        self._pg_ctl("-m", mode, "-w", "-t", "60", "-l", f"{self.data}/log", "restart")

    def ask(self, *statements):
        """Runs statements in one session, whatever the database's settings, and answers what psql prints."""
        return run(
            [f"{self.programs}/psql", self.url, "-qAtX", "-v", "ON_ERROR_STOP=1", *self._flags(statements)],
            f"psql: {statements}",
            30,
            env={**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"},
        )

    def end_sessions(self):
        """Ends all sessions but that which asks for it."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()")

    @contextlib.contextmanager
    def locked(self, row):
        """Holds a row, by its table and condition, until the end."""
        begin = f"BEGIN; SELECT 'locked' FROM {row} FOR UPDATE;\n"
        command = [f"{self.programs}/psql", self.url, "-qAtX"]
        psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            psql.stdin.write(begin)
            psql.stdin.flush()
            check(psql.stdout.readline() == "locked\n", f"{row} could not be locked")
            yield
        finally:
            # The end of its input ends the session, and with it the lock.
            psql.communicate(timeout=30)

    @contextlib.contextmanager
    def full(self):
        """Leaves no room on its disk, which has to be one of its own."""
        ballast = self.disk / "ballast"
        try:
            with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(1 << 20)):
                    pass
            yield
        finally:
            ballast.unlink()

    def revive(self):
        """Starts it where it has ended: without room for its log it does."""
        command = [f"{self.programs}/pg_isready", "-q", "-d", self.url]
        if subprocess.run(command, check=False, timeout=30).returncode:
            self.restart("immediate")

    def _flags(self, statements):
        return [word for statement in statements for word in ("-c", statement)]

    def _pg_ctl(self, *flags):
        command = [*as_owner(), f"{self.programs}/pg_ctl", "-D", self.data, *flags]
        # What is started keeps the output open: it must be nobody's.
        streams = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        code = subprocess.run(command, check=False, timeout=90, cwd="/", **streams).returncode
        check(code == 0, f"pg_ctl {flags} ended with {code}: {self._log()}")

    def _log(self):
        log = pathlib.Path(self.data, "log")
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it has no log"


def as_owner():
    """What runs a command as the servers' owner: PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def own_disk():
    """A small disk in memory, where this user may mount one; else none."""
    if os.geteuid():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="anyhook-e2e-disk-") as path:
        run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=1777", "tmpfs", path], "mount")
        try:
            yield pathlib.Path(path)
        finally:
            run(["umount", "--lazy", path], "umount")


@contextlib.contextmanager
def postgres(disk=None):
    """A server that is gone at the end, with all that it held; on this disk, or the machine's."""
    tell = " ".join(f'"${name}"' for name in TOLD)
    env = {name: value for name, value in os.environ.items() if name not in TOLD}
    env |= {"TMPDIR": str(disk)} if disk else {}
    # It ends when its input does.
    command = [STARTER, "sh", "-c", f"printf '%s\\n' {tell}; exec cat >/dev/null"]
    starter = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        watchdog = threading.Timer(90, starter.kill)
        watchdog.start()
        told = [starter.stdout.readline().strip() for _ in TOLD]
        watchdog.cancel()
        check(all(told), "PostgreSQL could not be started")
        yield Postgres(disk, *told)
    finally:
        starter.stdin.close()
        starter.wait(60)
