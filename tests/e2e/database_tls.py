"""TLS between a node and its database: certificates of a CA of the suite's own, and what is said where they do not hold."""

import contextlib
import types

from anyhook import Anyhook, BINARY
from lib import Process, check, equal, run, temporary_directory
from nodes import SETTINGS
from postgres import as_owner, postgres

# The name that the server's certificate is for; the other one that it is reached by.
NAME, OTHER = "localhost", "127.0.0.1"
# Nodes sign in as this user, who is let in by TLS alone where the server has it.
USER = "node"
# So that what is refused is refused soon.
SOON = {"ANYHOOK_STORE_STATEMENT_TIMEOUT_MS": "600", "ANYHOOK_STORE_CONNECT_TIMEOUT_MS": "600"}


@contextlib.contextmanager
def world():
    with postgres() as database, temporary_directory() as directory:
        database.ask(f"CREATE ROLE {USER} LOGIN", f"GRANT CREATE ON DATABASE postgres TO {USER}")
        yield types.SimpleNamespace(database=database, directory=directory, ca_file=directory / "ca.crt")


def url(world, host, query):
    return f"postgres://{USER}@{host}:{world.database.port}/postgres{query}"


@contextlib.contextmanager
def node(world, store_url, **settings):
    server = Anyhook(world.directory, **SETTINGS, ANYHOOK_STORE=store_url, **settings)
    try:
        yield server.start()
        server.stop()
    finally:
        server.process.kill()


def refused(world, store_url, words, **settings):
    """Sees that a node does not start, and says why in these words."""
    server = Anyhook(world.directory, **{**SETTINGS, **SOON, **settings}, ANYHOOK_STORE=store_url)
    process = Process([BINARY, "serve"], server.env)
    try:
        code = process.child.wait(30)
        process.reader.join(5)
    finally:
        process.kill()
    equal(code, 1, f"exit code of a node that is refused: {process.tail()}")
    last = process.tail(1)
    check(all(word in last for word in words), f"{words} are not all in: {process.tail()}")


def sessions(world):
    """Whether the sessions of nodes are encrypted: how many of each."""
    ask = f"SELECT ssl, count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{USER}' GROUP BY ssl"
    return dict(line.split("|") for line in world.database.ask(ask).split())


def turn_on_tls(world):
    directory, data = world.directory, world.database.data
    ca = ["-CA", world.ca_file, "-CAkey", directory / "ca.key"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    basic = "basicConstraints=critical,CA:"
    authority = ["-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign"]
    run([*new, *authority, "-keyout", directory / "ca.key", "-out", world.ca_file], "openssl: the CA")
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-addext", f"{basic}FALSE"]
    run([*new, *names, *ca, "-keyout", f"{data}/server.key", "-out", f"{data}/server.crt"], "openssl: the server")
    owner = "postgres" if as_owner() else None
    if owner:
        run(["chown", owner, f"{data}/server.key", f"{data}/server.crt"], "chown")
    run(["chmod", "600", f"{data}/server.key"], "chmod")
    rules = f"hostssl all {USER} 127.0.0.1/32 trust\nhost all anyhook 127.0.0.1/32 trust\n"
    with open(f"{data}/pg_hba.conf", "w", encoding="ascii") as file:
        file.write(rules)
    world.database.set("ssl", "on")


def test_a_server_without_tls_is_gone_to_only_where_the_url_lets(world):
    refused(world, url(world, NAME, "?sslmode=require"), ["server does not support TLS"])
    with node(world, url(world, NAME, "")):
        equal(set(sessions(world)), {"f"}, "whether sessions are encrypted")


def test_certificates_are_verified(world):
    turn_on_tls(world)
    trusting = {"ANYHOOK_STORE_CA_FILE": str(world.ca_file)}
    for query in ("?sslmode=require", ""):
        with node(world, url(world, NAME, query), **trusting):
            equal(set(sessions(world)), {"t"}, f"whether sessions are encrypted with {query!r}")
        refused(world, url(world, NAME, query), ["TLS", "UnknownIssuer", "store.ca_file"])
        refused(world, url(world, OTHER, query), ["TLS", "not valid for name", OTHER], **trusting)


def test_a_server_that_insists_on_tls_says_so(world):
    refused(world, url(world, NAME, "?sslmode=disable"), ["no pg_hba.conf entry", "no encryption"])


def test_a_file_that_holds_no_certificate_is_named(world):
    empty = world.directory / "empty.crt"
    empty.touch()
    refused(world, url(world, NAME, "?sslmode=require"), ["store.ca_file", str(empty)], ANYHOOK_STORE_CA_FILE=str(empty))


def test_modes_of_other_clients_are_refused_with_what_to_do(world):
    refused(world, url(world, NAME, "?sslmode=verify-full"), ["sslmode is disable, prefer or require"])
