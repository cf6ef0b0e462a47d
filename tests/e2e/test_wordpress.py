"""History and changes of a real WordPress: exactly what was written there arrives, verified, each version once."""

import contextlib
import types

from anyhook import anyhook, SECRET
from lib import equal, temporary_directory, wait_until_seeds_are_old
from receiver import receiver
from wordpress import wordpress

# More than one page of WordPress's own (100 at most), and several of the webhook's.
POSTS, PAGES = 115, 6
PAGE_MAX = 25


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, wordpress(directory) as site, receiver(SECRET) as subscriber:
        for number in range(POSTS):
            site.create("posts", f"Post {number}")
        for number in range(PAGES):
            site.create("pages", f"Page {number}")
        wait_until_seeds_are_old()
        with anyhook(directory) as server:
            connection = server.connect(
                "wordpress", ["kms"], api_url=site.url, user_id=site.user, token=site.password
            )
            yield types.SimpleNamespace(site=site, server=server, receiver=subscriber, connection=connection, hooks={})


def subscribe(world, name, **fields):
    fields.setdefault("object_type", "kms_page")
    webhook = world.server.subscribe(world.connection, hook_url=world.receiver.hook(name), **fields)
    world.hooks[name] = webhook["id"]


def test_the_whole_history_arrives_once_over_several_pages(world):
    seeded = world.site.ids("posts", "any") + world.site.ids("pages", "any")
    subscribe(world, "pages", include_all=True, page_max_limit=PAGE_MAX)
    arrived = world.receiver.wait_for_initial("pages")
    equal(sorted(arrived), sorted(seeded), "records of the initial sync")
    world.receiver.check_promises("pages", page_max=PAGE_MAX)
    partial = world.receiver.batches("pages", "INITIAL-PARTIAL")
    equal(len(partial) >= len(seeded) // PAGE_MAX, True, f"several INITIAL-PARTIAL: {partial}")
    titles = [record["title"] for record in world.receiver.records("pages") if record["title"].startswith("P")]
    equal({"Post 0", "Post 114", "Page 5"} - set(titles), set(), "titles that did not arrive")


def test_changes_arrive_at_those_who_asked_for_them(world):
    subscribe(world, "created", event="created")
    subscribe(world, "deleted", event="deleted")
    site = world.site
    posts, gone = site.ids("posts"), site.ids("pages")[-1]
    for hook in world.hooks.values():
        world.server.wait_for_polls(hook)

    new_post, new_page = site.create("posts", "A new post"), site.create("pages", "A new page")
    site.change("posts", posts[0], title="Changed post")
    site.trash("posts", posts[1])
    site.trash("pages", gone)

    world.receiver.wait_for("pages", {new_post, new_page, posts[0]}, "created and changed pages")
    world.receiver.wait_for("created", {new_post, new_page}, "created pages")
    world.receiver.wait_for("deleted", {posts[1], gone}, "trashed pages")
    for hook in world.hooks.values():
        world.server.wait_for_polls(hook)
    equal(sorted(world.receiver.ids("pages", "VIRTUAL")), sorted([new_post, new_page, posts[0]]), "updated")
    equal(sorted(world.receiver.ids("created")), sorted([new_post, new_page]), "created")
    equal(sorted(world.receiver.ids("deleted")), sorted([posts[1], gone]), "deleted")
    changed = [record for record in world.receiver.records("pages", "VIRTUAL") if record["id"] == posts[0]]
    equal(changed[0]["title"], "Changed post", "title")
    for name in world.hooks:
        world.receiver.check_promises(name)


def test_comments_arrive_with_their_page(world):
    page = world.site.ids("posts")[-1]
    first = world.site.comment(page, "The first comment")
    subscribe(world, "comments", object_type="kms_comment", include_all=True)
    arrived = world.receiver.wait_for_initial("comments")
    equal(first in arrived, True, f"the first comment is in the history {arrived}")
    world.server.wait_for_polls(world.hooks["comments"])
    second = world.site.comment(page, "The second comment")
    world.receiver.wait_for("comments", {second}, "a new comment")
    records = {record["id"]: record for record in world.receiver.records("comments")}
    equal(records[second]["page_id"], page, "page_id of the comment")
    equal("The second comment" in records[second]["content"], True, f"content: {records[second]}")
    world.server.wait_for_polls(world.hooks["comments"])
    equal(world.receiver.ids("comments", "VIRTUAL"), [second], "new comments")
