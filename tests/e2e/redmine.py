"""A real Redmine from Debian's packages: a copy of its tree with a SQLite database of its own, served by thin."""

import contextlib
import datetime
import os
import shutil
import sqlite3

from lib import CONFIG, Process, check, free_port, http, run

PACKAGE = "/usr/share/redmine"
DATABASE = """production:
  adapter: sqlite3
  database: {path}
  timeout: 20000
"""
# The package's Gemfile looks for adapters in the machine's own instances only.
GEMFILE_LOCAL = "gem 'sqlite3', '~> 1.4.0'\n"
CLOSED_STATUS = 5


class Redmine:
    """A running Redmine and the administrator's key."""

    def __init__(self, url, key, database):
        self.url, self.key, self.database = url, key, database
        self.project = "e2e"

    def api(self, method, path, body=None):
        """A request to the REST API, which must succeed."""
        answer = http(method, f"{self.url}{path}", body, {"x-redmine-api-key": self.key})
        check(answer.status in (200, 201, 204), f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def create(self, subject, **fields):
        issue = {"project_id": self.project, "subject": subject, "description": f"Text of {subject}", **fields}
        return str(self.api("POST", "/issues.json", {"issue": issue}).json["issue"]["id"])

    def change(self, issue_id, **fields):
        self.api("PUT", f"/issues/{issue_id}.json", {"issue": fields})

    def close(self, issue_id):
        self.change(issue_id, status_id=CLOSED_STATUS)

    def delete(self, issue_id):
        self.api("DELETE", f"/issues/{issue_id}.json")

    def tie(self, issue_ids):
        """Gives issues one and the same second of their last change, an hour ago, as a bulk import leaves them."""
        second = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        marks = ",".join("?" * len(issue_ids))
        with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as db, db:
            db.execute(
                f"UPDATE issues SET updated_on = ?, created_on = ? WHERE id IN ({marks})",
                [second.strftime("%Y-%m-%d %H:%M:%S")] * 2 + [int(issue_id) for issue_id in issue_ids],
            )


@contextlib.contextmanager
def redmine(directory):
    """Sets a Redmine up below `directory`, serves it, and ends it."""
    tree, database = directory / "redmine", directory / "redmine.sqlite3"
    env = prepare(tree, database)
    rails = ["ruby", tree / "bin" / "rails"]
    run(["bundle", "exec", "rake", "db:migrate"], "Redmine's migration", cwd=tree, env=env)
    setup = run([*rails, "runner", CONFIG / "redmine" / "setup.rb"], "Redmine's setup", cwd=tree, env=env)
    key = next(line.split("=", 1)[1] for line in setup.splitlines() if line.startswith("api-key="))
    port = free_port()
    server = Process([*rails, "server", "-u", "thin", "-e", "production", "-b", "127.0.0.1", "-p", port], env, tree)
    try:
        server.wait_to_answer(f"http://127.0.0.1:{port}/issues.json", 120)
        yield Redmine(f"http://127.0.0.1:{port}", key, database)
    finally:
        server.stop()


def prepare(tree, database):
    """Copies Redmine's tree with an instance of its own in it, and answers the environment to run it in."""
    shutil.copytree(PACKAGE, tree, symlinks=True)
    instance = tree / "instances" / "e2e"
    for link in ("instances", "Gemfile.lock", "config/database.yml"):
        (tree / link).unlink(missing_ok=True)
    for name in ("config", "log", "files", "tmp/cache", "tmp/pids", "tmp/sockets", "public/plugin_assets"):
        (instance / name).mkdir(parents=True)
    (instance / "config" / "database.yml").write_text(DATABASE.format(path=database))
    (instance / "config" / "secret_key.txt").write_text("a secret for tests only, as long as Rails wants it" * 2)
    (tree / "Gemfile.local").write_text(GEMFILE_LOCAL)
    version = run(["dpkg-query", "-W", "-f", "${Version}", "ruby-bundler"], "dpkg-query").split("-")[0]
    return {
        **os.environ,
        "RAILS_ENV": "production",
        "REDMINE_INSTANCE": "e2e",
        "SCHEMA": "/dev/null",
        "TZ": "UTC",
        "BUNDLE_GEMFILE": str(tree / "Gemfile"),
        # Ruby's own, newer bundler takes gems that Debian packages for missing.
        "BUNDLER_VERSION": version,
    }
