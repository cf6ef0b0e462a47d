"""A real WordPress from Debian's packages: MariaDB on a directory of its own, PHP's built-in server, loopback only."""

import base64
import contextlib
import getpass
import shutil

from lib import CONFIG, Process, check, free_port, http, run

PACKAGE = "/usr/share/wordpress"
# php -S answers one request at a time unless it has workers.
PHP_WORKERS = "3"


class WordPress:
    """A running site and the administrator's way in."""

    def __init__(self, url, password):
        self.url, self.user, self.password = url, "admin", password
        basic = base64.b64encode(f"{self.user}:{password}".encode()).decode()
        self.headers = {"authorization": f"Basic {basic}"}

    def api(self, method, path, body=None):
        """A request to the REST API's second version, which must succeed."""
        answer = http(method, f"{self.url}/wp-json/wp/v2{path}", body, self.headers)
        check(answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def create(self, kind, title, **fields):
        """Publishes a post or page (`kind` is posts or pages) and answers its id."""
        body = {"title": title, "content": f"Text of {title}", "status": "publish", **fields}
        return str(self.api("POST", f"/{kind}", body).json["id"])

    def change(self, kind, page_id, **fields):
        self.api("POST", f"/{kind}/{page_id}", fields)

    def trash(self, kind, page_id):
        self.api("DELETE", f"/{kind}/{page_id}")

    def comment(self, post_id, text):
        return str(self.api("POST", "/comments", {"post": int(post_id), "content": text}).json["id"])

    def ids(self, kind, status="publish"):
        """The ids of all of a kind, page by page."""
        found, page, pages = [], 1, 1
        while page <= pages:
            # By id: the default order has ties, and so may show a post twice and another never.
            answer = self.api("GET", f"/{kind}?status={status}&orderby=id&order=asc&per_page=100&page={page}")
            pages = int(answer.headers["X-WP-TotalPages"] or 1)
            found += [str(row["id"]) for row in answer.json]
            page += 1
        return found


@contextlib.contextmanager
def wordpress(directory):
    """Installs a site below `directory`, serves it, and ends it with its database."""
    with database(directory / "mysql") as db_port:
        site, url = directory / "html", f"http://127.0.0.1:{free_port()}"
        env = {"E2E_DB_PORT": db_port, "E2E_SITE_URL": url, "PHP_CLI_SERVER_WORKERS": PHP_WORKERS}
        shutil.copytree(PACKAGE, site, symlinks=False, ignore_dangling_symlinks=True)
        for name in ("wp-config.php", "router.php"):
            shutil.copy(CONFIG / "wordpress" / name, site / name)
        server = Process(["php", "-S", url.removeprefix("http://"), "-t", site, site / "router.php"], env, site)
        try:
            setup = Process(["php", CONFIG / "wordpress" / "setup.php"], env, site)
            password = setup.line_with("application-password=").split("=", 1)[1]
            check(setup.child.wait(30) == 0, f"the site's setup failed:\n{setup.tail()}")
            server.wait_to_answer(f"{url}/wp-json/")
            yield WordPress(url, password)
        finally:
            server.stop()


@contextlib.contextmanager
def database(directory):
    """A MariaDB with one empty database, on a free port."""
    port, user = free_port(), getpass.getuser()
    directory.mkdir()
    run(
        ["mariadb-install-db", "--no-defaults", f"--user={user}", f"--datadir={directory}", "--skip-test-db"]
        + ["--auth-root-authentication-method=normal", "--force"],
        "mariadb-install-db",
    )
    socket = directory / "socket"
    start = directory / "start.sql"
    start.write_text(
        "CREATE DATABASE IF NOT EXISTS site CHARACTER SET utf8mb4;\n"
        "CREATE USER IF NOT EXISTS site@'127.0.0.1' IDENTIFIED BY 'site';\n"
        "GRANT ALL ON site.* TO site@'127.0.0.1';\n"
    )
    server = Process(
        ["mariadbd", "--no-defaults", f"--user={user}", f"--datadir={directory}", f"--socket={socket}"]
        + [f"--port={port}", "--bind-address=127.0.0.1", f"--init-file={start}", "--skip-name-resolve"]
        + ["--innodb-flush-log-at-trx-commit=0", f"--pid-file={directory / 'pid'}"]
    )
    try:
        server.line_with("ready for connections")
        yield port
    finally:
        server.stop()
