"""The database has a standby, and fails over to it under load: killed, hanging, or demoted. Nodes have a URL of all hosts.

Each test begins with a new standby, and ends without one. Nodes sign in as a user who owns nothing but their schema.
"""

import contextlib
import signal

from lib import equal, short, wait_until
from nodes import TAKEOVER_S, asking, begin_work, figure, pid_of, vendor_and_receiver, wait_for_all
from promises import check_all, settle
from standby import kill, pair, send

USER = "node"
# What keeps a server from being written to by whoever does not insist.
READ_ONLY = "default_transaction_read_only"
# How many numbers of transactions are given again.
NUMBERS = 3_000


@contextlib.contextmanager
def world():
    with pair() as both, vendor_and_receiver() as run:
        run.both = both
        both.primary.ask(f"CREATE ROLE {USER} LOGIN", f"GRANT CREATE ON DATABASE postgres TO {USER}")
        for _ in range(3):
            run.fleet.start(both.url(USER))
        begin_work(run)
        yield run


def sessions(server, which="true"):
    """How many sessions of nodes a server has."""
    ask = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND ({which})"
    return int(server.ask(ask))


@contextlib.contextmanager
def failing_over(run, name):
    """What happens to the primary is done within, to which it and its standby are given; then nodes must go on at the other
    server by themselves."""
    if not run.both.standby:
        run.both.follow()
    pids = [pid_of(node) for node in run.fleet.nodes]
    with asking(run) as statuses:
        yield run.both.primary, run.both.standby
        back = wait_for_all(run, 2 * TAKEOVER_S)
        listens = lambda: sessions(run.both.primary, "query LIKE 'LISTEN%'")
        wait_until(lambda: listens() == len(pids), "nodes listen at the other server", TAKEOVER_S, listens)
    equal([pid_of(node) for node in run.fleet.running()], pids, "nodes that live on")
    figure(f"{name}: all goes on after ({len(statuses)} answers, {statuses.count(503)} with 503)", [back])


def test_the_primary_is_killed(run):
    with failing_over(run, "killed") as (old, _):
        kill(old)
        run.both.promote()


def test_numbers_of_transactions_are_given_again(run):
    """What the primary was committing when it was lost never came to the standby, which gives the same numbers to others.
    Nodes must not take another's commit for their own."""
    taken_for_done = lambda: sum("had taken place" in line for node in run.fleet.nodes for line in node.process.lines)
    before = taken_for_done()
    with failing_over(run, "numbers given again") as (old, new):
        # The standby is shut also once it takes writes, so that the numbers are gone before a node comes.
        new.set(READ_ONLY, "on")
        send(old, signal.SIGSTOP, lambda pids: [pid for pid in pids if "walsender" in title(pid)])
        waiting = lambda: sessions(old, "wait_event = 'SyncRep'")
        wait_until(waiting, "a node waits for its commit", 10)
        kill(old)
        run.both.promote()
        new.ask(f"DO $$ BEGIN FOR n IN 1..{NUMBERS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        new.set(READ_ONLY, "off")
    equal(taken_for_done(), before, "commits that nodes took for done, though the standby had not heard of them")


def title(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8") as text:
        return text.read()
    return ""


def test_the_primary_hangs(run):
    """It takes connections and says nothing."""
    with failing_over(run, "hanging") as (old, _):
        send(old, signal.SIGSTOP)
        run.both.promote()
        wait_for_all(run, 2 * TAKEOVER_S)
        kill(old)


def test_the_primary_is_demoted(run):
    """It keeps all connections and can be read, but another one is written to now: nobody may go on reading here."""
    with failing_over(run, "demoted") as (old, _):
        old.set(READ_ONLY, "on")
        run.both.promote()
        # A writer that has nothing to write may keep a connection, but not use it.
        used = lambda: sessions(old, "query LIKE 'LISTEN%' OR query_start > clock_timestamp() - interval '2 s'")
        wait_until(lambda: used() == 0, "nodes leave the server that was demoted", TAKEOVER_S, used)
        kill(old)


def test_what_came_of_it(run):
    equal(short(run.seen.at_once()), "[]", "what two nodes did at once")
    settle(run)
    check_all(run)
