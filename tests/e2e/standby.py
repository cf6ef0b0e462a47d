"""Two PostgreSQL servers, of which one follows the other: whatever a commit answers is on both (synchronous replication).

The primary is the suite's own (postgres.py); the one that follows is made by pg_basebackup.
"""

import contextlib
import os
import pathlib
import random
import signal
import socket
import tempfile

from lib import run, wait_until
from postgres import Postgres, as_owner, postgres

# As tests/with_postgres.sh starts the other: what a kill loses is lost without a sync too.
OPTIONS = "-c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=off -c full_page_writes=off"


class Pair:
    """The server that is written to, and the one that follows it."""

    def __init__(self, primary, directory):
        self.primary, self.standby, self.directory, self.made = primary, None, directory, 0
        # All there ever were.
        self.servers = [primary]
        # Of the servers that follow, in turns.
        self.ports = lasting_ports(2)
        self.hosts = ",".join(f"127.0.0.1:{port}" for port in (primary.port, *self.ports))

    def url(self, user):
        """The URL of all places where a server may be; the one that can be written to is meant."""
        return f"postgres://{user}@{self.hosts}/postgres?sslmode=disable"

    def follow(self):
        """Makes a standby of the primary, and has commits wait for it."""
        port = self.ports[self.made % 2]
        self.made += 1
        data = self.directory / f"data-{self.made}"
        programs = self.primary.programs
        copy = [f"{programs}/pg_basebackup", "-d", self.primary.url, "-D", data, "-R", "-c", "fast", "-X", "stream"]
        run([*as_owner(), *copy], "pg_basebackup", 60, cwd="/")
        self.standby = Postgres(None, self.primary.url_through(port), str(data), programs)
        self.servers.append(self.standby)
        # Without a socket: of one that was killed there may be a lock, whose owner the system has yet to forget.
        self.standby.start(f"{OPTIONS} -c port={port} -c unix_socket_directories=")
        self.primary.set("synchronous_standby_names", "*")
        is_in_sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: self.primary.ask(is_in_sync).strip() == "1", "the standby follows")

    def promote(self):
        """Makes the standby the one that is written to. The other is left as it is."""
        self.standby.promote()
        self.primary, self.standby = self.standby, None
        # It would wait for one of its own, if it copied that setting with the rest.
        self.primary.set("synchronous_standby_names", "")

    def end(self):
        for server in self.servers:
            kill(server)


def lasting_ports(count):
    """Free ports that no client is given while nobody listens there: below those that Linux gives away by itself."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def processes(server):
    """A server's processes, the one that watches over the others first."""
    pid = int(pathlib.Path(server.data, "postmaster.pid").read_text().split()[0])
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    return [pid, *(child for child, parent in parents.items() if parent == pid)]


def send(server, number, which=lambda pids: pids):
    """Sends a signal to a server's processes."""
    for pid in which(processes(server)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(server):
    """Ends it as a loss of power does; no harm where it has ended."""
    with contextlib.suppress(FileNotFoundError):
        # Stopped first, so that none sees another one end and has a last word.
        send(server, signal.SIGSTOP)
        send(server, signal.SIGKILL)
        # Its number may soon be another process's.
        pathlib.Path(server.data, "postmaster.pid").unlink()


@contextlib.contextmanager
def pair():
    with postgres() as primary, tempfile.TemporaryDirectory(prefix="anyhook-e2e-standby-") as path:
        # The servers' owner is another user where root runs this.
        os.chmod(path, 0o777)
        both = Pair(primary, pathlib.Path(path))
        try:
            both.follow()
            yield both
        finally:
            both.end()
