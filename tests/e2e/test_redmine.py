"""History and changes of a real Redmine, many of whose issues share the second of their last change."""

import contextlib
import types

from anyhook import anyhook, SECRET
from lib import equal, temporary_directory, wait_until_seeds_are_old
from receiver import receiver
from redmine import redmine

# More issues in one second than a page of Redmine's holds (100 at most), and some around them.
TIED, OTHERS = 112, 18
PAGE_MAX = 40


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, redmine(directory) as tracker, receiver(SECRET) as subscriber:
        issues = [tracker.create(f"Issue {number}") for number in range(TIED + OTHERS)]
        tracker.tie(issues[:TIED])
        tracker.close(issues[-1])
        wait_until_seeds_are_old()
        with anyhook(directory) as server:
            connection = server.connect("redmine", ["ticketing", "task"], api_url=tracker.url, token=tracker.key)
            yield types.SimpleNamespace(
                tracker=tracker, server=server, receiver=subscriber, connection=connection, issues=issues, hooks={}
            )


def subscribe(world, name, object_type, **fields):
    hook_url = world.receiver.hook(name)
    world.hooks[name] = world.server.subscribe(world.connection, object_type, hook_url, **fields)["id"]


def test_the_whole_history_arrives_once_through_a_tie_of_more_than_a_page(world):
    for name, object_type in (("tickets", "ticketing_ticket"), ("tasks", "task_task")):
        subscribe(world, name, object_type, include_all=True, page_max_limit=PAGE_MAX)
    for name in ("tickets", "tasks"):
        arrived = world.receiver.wait_for_initial(name)
        equal(sorted(arrived), sorted(world.issues), f"records of the initial sync at {name}")
        world.receiver.check_promises(name, page_max=PAGE_MAX)
    closed = {record["id"]: record["status"] for record in world.receiver.records("tickets")}[world.issues[-1]]
    equal(closed, "CLOSED", "status of the closed issue")


def test_changes_arrive_and_nothing_else(world):
    tracker = world.tracker
    for name in ("tickets", "tasks"):
        world.server.wait_for_polls(world.hooks[name])
    new = tracker.create("A new issue")
    tracker.change(world.issues[3], subject="Another subject")
    tracker.close(world.issues[4])
    wanted = sorted([new, world.issues[3], world.issues[4]])
    for name in ("tickets", "tasks"):
        world.receiver.wait_for(name, wanted, f"changed issues at {name}")
        world.server.wait_for_polls(world.hooks[name])
        equal(sorted(world.receiver.ids(name, "VIRTUAL")), wanted, f"changes at {name}")
        world.receiver.check_promises(name)
    tickets = {record["id"]: record for record in world.receiver.records("tickets", "VIRTUAL")}
    equal(tickets[world.issues[3]]["subject"], "Another subject", "subject")
    equal(tickets[world.issues[4]]["status"], "CLOSED", "status")


def test_many_changes_in_one_second_arrive_each_once(world):
    before = len(world.receiver.ids("tasks", "VIRTUAL"))
    touched = set(world.issues[10:TIED:2])
    for issue in touched:
        world.tracker.change(issue, notes="Looked at again")
    world.receiver.wait_for("tasks", touched, "issues touched in quick succession")
    world.server.wait_for_polls(world.hooks["tasks"])
    equal(sorted(world.receiver.ids("tasks", "VIRTUAL")[before:]), sorted(touched), "issues touched")


def test_an_issue_deleted_there_arrives_as_deleted_and_as_nothing_else(world):
    subscribe(world, "deleted", "ticketing_ticket", event="deleted")
    # The first poll learns what is there.
    world.server.wait_for_polls(world.hooks["deleted"], runs=3)
    before = len(world.receiver.ids("tickets", "VIRTUAL"))
    gone = world.issues[5]
    world.tracker.api("DELETE", f"/issues/{gone}.json")
    world.receiver.wait_for("deleted", {gone}, "an issue that is gone without a trace", deadline_s=240)
    world.server.wait_for_polls(world.hooks["deleted"], runs=5)
    equal(world.receiver.records("deleted", "VIRTUAL"), [{"id": gone}], "what is told of it")
    equal(len(world.receiver.ids("tickets", "VIRTUAL")), before, "changes that sweeps told")
    world.receiver.check_promises("deleted")


def test_projects_arrive(world):
    subscribe(world, "projects", "task_project", include_all=True)
    arrived = world.receiver.wait_for_initial("projects")
    equal(len(arrived), 1, "projects of the initial sync")
    world.server.wait_for_polls(world.hooks["projects"])
    body = {"project": {"name": "Another project", "identifier": "another"}}
    new = str(world.tracker.api("POST", "/projects.json", body).json["project"]["id"])
    world.receiver.wait_for("projects", {new}, "a new project")
    equal(world.receiver.records("projects", "VIRTUAL")[0]["name"], "Another project", "name")
