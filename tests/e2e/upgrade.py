"""Nodes replaced one after the other under load, by another build and with a schema that a newer build brought forward.

ANYHOOK_BESIDE names the binary of another build: nodes are rolled from it to this one, back, and to this one again.
Without it both sides are this build. The next version of the schema is made by SQL, as a newer build would make it.
"""

import contextlib
import re
import time

from anyhook import BESIDE, BINARY
from lib import Process, check, equal, short, wait_until
from nodes import (
    ACCOUNTS,
    INTERVAL_S,
    LOOK_S,
    TAKEOVER_S,
    asking,
    begin_work,
    figure,
    logs,
    vendor_and_receiver,
    wait_for_all,
    wait_for_work,
)
from postgres import postgres
from promises import check_all, settle

# What reading a heartbeat's answer and ending takes on a machine that is busy.
END_S = 3.0
# The account of what only a newer build knows.
TOMORROW = "account-of-tomorrow"
# Tables whose rows are written over all the time.
HOT = ("deliveries", "feed_states", "feed_marks", "log_heads", "progress", "ledger")
# Tables of JSON rows, of which a run has some.
JSON = ("workspaces", "connections", "webhooks", "feeds", "feed_states", "jobs", "calls", "notifications")


@contextlib.contextmanager
def world():
    with postgres() as database, vendor_and_receiver() as run:
        run.database = database
        for _ in range(3):
            run.fleet.start(database.url, BESIDE)
        begin_work(run)
        yield run


def roll(run, binary, before_each=lambda: None):
    """Replaces all nodes, one after the other, and answers how long each took to work again."""
    took = []
    for node in run.fleet.nodes:
        before_each()
        run.fleet.replace(node, binary)
        took.append(wait_for_work(run, node))
    return took


def alone(run, *statements):
    """Runs statements in one transaction, as a migration does: while no node writes. Answers what they print."""
    lock = "LOCK TABLE anyhook.locks IN EXCLUSIVE MODE"
    return run.database.ask("BEGIN", lock, *statements, "COMMIT").splitlines()


def more_fields(table):
    """Adds a field to the JSON rows of a table that have none more yet, as a newer build may, and tells how many."""
    json = "convert_from(substr(v, 2), 'UTF8')"
    more = "'{\"added_later\": {\"deep\": [1, null]}, '"
    return (
        f"WITH changed AS (UPDATE anyhook.{table} SET v = substr(v, 1, 1) || convert_to({more} || substr({json}, 2), 'UTF8')"
        f" WHERE substr(v, 1, 2) = '\\x017b' AND {json} NOT LIKE '%added\\_later%' RETURNING 1)"
        f" SELECT '{table}', count(*) FROM changed"
    )


def test_nodes_are_replaced_by_another_build(run):
    builds = [BINARY, BESIDE, BINARY] if BESIDE else [BINARY]
    with asking(run) as statuses:
        took = []
        for binary in builds:
            took += roll(run, binary)
            wait_for_all(run, TAKEOVER_S)
    equal(set(statuses) - {200, 503}, set(), "answers of the API")
    figure(f"a node that was replaced works after ({len(statuses)} answers, {statuses.count(503)} with 503)", took)


def test_nodes_go_on_beside_a_newer_build(run):
    """The schema has one version more, that lets this build go on, and rows have fields that it does not know."""
    columns = [f"ALTER TABLE anyhook.{table} ADD COLUMN added_later int4 NOT NULL DEFAULT 7" for table in (*HOT, "calls")]
    with asking(run) as statuses:
        alone(
            run,
            *columns,
            "CREATE TABLE anyhook.added_later (k bytea PRIMARY KEY)",
            "CREATE INDEX added_later_index ON anyhook.feed_marks (added_later)",
            "INSERT INTO anyhook.schema_versions SELECT max(version) + 1, max(usable_from) FROM anyhook.schema_versions",
        )
        counts = {}

        def write_as_a_newer_build():
            for line in alone(run, *map(more_fields, JSON)):
                table, count = line.split("|")
                counts[table] = counts.get(table, 0) + int(count)

        took = roll(run, BINARY, write_as_a_newer_build)
        write_as_a_newer_build()
        back = wait_for_all(run, TAKEOVER_S)
    equal([table for table in JSON if not counts[table]], [], f"tables without rows that were added to: {counts}")
    unread = [line for node in run.fleet.nodes for line in node.process.lines if "row" in line and "this build" in line]
    equal(unread, [], "what nodes say that they could not read")
    figure(f"a node that was replaced works after ({len(statuses)} answers, {statuses.count(503)} with 503)", took)
    figure(f"all goes on ({sum(counts.values())} rows had a field more) after", [back])


def test_what_only_a_newer_build_knows_waits_until_it_can_be_read(run):
    """A feed and its webhook are of an object type that this build does not know. Others are polled all the while; what is
    delivered for the same shard waits too."""
    connection = run.fleet.connect("sandbox", ["crm"], api_url=run.front, token=TOMORROW)
    made = run.fleet.subscribe(connection, "crm_deal", run.receiver.hook("tomorrow"), interval=INTERVAL_S / 60)
    run.fleet.wait_for_polls(made["id"], 1)

    def rename(before, after):
        json = "convert_from(substr(v, 2), 'UTF8')"
        new = f"substr(v, 1, 1) || convert_to(replace({json}, '\"{before}\"', '\"{after}\"'), 'UTF8')"
        of_it = f"substr(v, 1, 2) = '\\x017b' AND {json} LIKE '%{connection}%'"
        alone(run, *(f"UPDATE anyhook.{table} SET v = {new} WHERE {of_it}" for table in ("feeds", "webhooks")))

    rename("crm_deal", "crm_of_tomorrow")
    for node in run.fleet.nodes:
        run.fleet.replace(node, BINARY)
    is_told = lambda: [line for node in run.fleet.nodes for line in node.process.lines if "does not know: start" in line]
    wait_until(is_told, "a node says that it cannot read a row", TAKEOVER_S, lambda: logs(run, 9))
    since = time.monotonic()
    others = [("poll", f"account-{number}") for number in range(ACCOUNTS)]
    missing = lambda: [key for key in others if run.seen.first(key, since) is None]
    wait_until(lambda: not missing(), "all others are polled", TAKEOVER_S, missing)
    equal(run.seen.first(("poll", TOMORROW), since), None, "a poll for what this build does not know")
    rename("crm_of_tomorrow", "crm_deal")
    since = time.monotonic()
    is_polled = lambda: run.seen.first(("poll", TOMORROW), since)
    wait_until(is_polled, "it is polled again once it can be read", 2 * TAKEOVER_S, lambda: is_told()[-9:])
    wait_for_all(run, TAKEOVER_S)
    run.fleet.call("DELETE", f"/unified/webhook/{made['id']}")


def sums_of_rows(run):
    """The statement that sums up all that is kept, a line for each table."""
    tables = run.database.ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'anyhook'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'schema_versions'"
    ).split()
    sum_of = lambda table: f"SELECT '{table}', md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM anyhook.{table} t"
    return " UNION ALL ".join(map(sum_of, tables))


def test_nodes_stop_when_the_schema_goes_beyond_them(run):
    """They write nothing more, end by themselves and say why, and so does one that is started then."""
    sums = sums_of_rows(run)
    beyond = "INSERT INTO anyhook.schema_versions SELECT max(version) + 1, max(version) + 1 FROM anyhook.schema_versions"
    before = alone(run, beyond, sums)
    has_ended = lambda: all(node.process.child.poll() is not None for node in run.fleet.nodes)
    wait_until(has_ended, "all nodes end", LOOK_S + END_S, lambda: [node.process.tail(9) for node in run.fleet.nodes])
    equal(run.database.ask(sums).splitlines(), before, "what was kept when the schema went on, and after it")
    late = Process([BINARY, "serve"], run.fleet.nodes[0].env)
    wait_until(lambda: late.child.poll() is not None, "a node that is started does not go on", 20, late.tail)
    for process in [late, *(node.process for node in run.fleet.nodes)]:
        process.reader.join(5)
        said = process.tail(5)
        equal(process.child.returncode, 1, f"exit code of a node that is too old: {said}")
        check(re.search(r"schema anyhook is for builds that know version \d+ .* start a newer build", said), said)
    newest = "(SELECT max(version) FROM anyhook.schema_versions)"
    run.database.ask(f"DELETE FROM anyhook.schema_versions WHERE version = {newest}")
    for node in run.fleet.nodes:
        node.start()
    figure("all goes on where a newer build takes it back after", [wait_for_all(run, 2 * TAKEOVER_S)])


def test_what_came_of_it(run):
    equal(short(run.seen.at_once()), "[]", "what two nodes did at once")
    settle(run)
    check_all(run)
