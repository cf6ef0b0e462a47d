"""A real Backlot, from PyPI: other people's emulation of vendors, HubSpot and Linear among them, over a corpus of records.

Its APIs only read. Records are added by its own import, beside the running server; changed, archived and deleted where it
keeps them, in its database, which it reads for each request.
"""

import contextlib
import json
import sqlite3

from lib import Process, free_port, run
from python_servers import executable

TOKEN = "admin-service-token"
AUTHOR = "ann@example.com"
# It would tell its makers of each start.
QUIET = {"DO_NOT_TRACK": "1"}


class Backlot:
    """A running Backlot and the ways to change what it has."""

    def __init__(self, url, directory):
        self.url, self.directory = url, directory

    def add(self, documents):
        """Imports documents beside those there are."""
        imported(self.directory, documents, "--append")

    def run_sql(self, statement, *values):
        """Changes its database; answers how many rows that touched."""
        with contextlib.closing(sqlite3.connect(self.directory / "db.sqlite", timeout=30)) as database, database:
            return database.execute(statement, values).rowcount

    def select(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.directory / "db.sqlite", timeout=30)) as database:
            return database.execute(statement, values).fetchall()


def imported(directory, documents, *flags):
    directory.mkdir(exist_ok=True)
    corpus = directory / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(document) + "\n" for document in documents))
    command = [executable("backlot"), "import", corpus, "--data-dir", directory, *flags]
    run(command, "backlot import", env={**QUIET, "PATH": "/usr/bin:/bin"})


@contextlib.contextmanager
def backlot(directory, documents):
    """Serves a corpus, and ends it."""
    port, data = free_port(), directory / "backlot"
    imported(data, documents)
    command = [executable("backlot"), "serve", "--port", port, "--data-dir", data, "--disable-telemetry"]
    server = Process([*command, "--log-level", "warning"], QUIET)
    try:
        server.wait_to_answer(f"http://127.0.0.1:{port}/openapi.json")
        yield Backlot(f"http://127.0.0.1:{port}", data)
    finally:
        server.stop()
