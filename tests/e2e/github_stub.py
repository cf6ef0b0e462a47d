"""As much of GitHub's API as one repository's issues, commits and webhooks need. GitHub itself cannot run here."""

import contextlib
import http.server
import json
import threading
import urllib.parse

REPOSITORY = "Codertocat/Hello-World"
TOKEN = "ghp_of_the_stub"


class GitHub:
    """The repository's issues, by number, its commits, newest first, and the webhooks that were registered."""

    def __init__(self, url):
        self.url, self.issues, self.commits, self.hooks = url, {}, [], {}

    def answer(self, method, path, query, body):
        """A status and what to send."""
        prefix = f"/repos/{REPOSITORY}"
        if not path.startswith(prefix):
            return 404, {"message": "Not Found"}
        parts = [part for part in path.removeprefix(prefix).split("/") if part]
        match method, parts:
            case "GET", ["issues"]:
                return 200, self.listing(query)
            case "GET", ["issues", number] if int(number) in self.issues:
                return 200, self.issues[int(number)]
            case "GET", ["commits"]:
                since = query.get("since", "")
                return 200, [one for one in self.commits if one["commit"]["committer"]["date"] >= since]
            case "POST", ["hooks"]:
                hook_id = 109948940 + len(self.hooks)
                self.hooks[hook_id] = json.loads(body)
                return 201, {"id": hook_id, **self.hooks[hook_id]}
            case "DELETE", ["hooks", hook_id]:
                return (204, None) if self.hooks.pop(int(hook_id), None) else (404, {"message": "Not Found"})
        return 404, {"message": "Not Found"}

    def listing(self, query):
        """Sorted and filtered as "List repository issues" says: `since` leaves out what is not newer."""
        assert query.get("sort") == "updated" and query.get("direction") == "asc", query
        rows = [issue for issue in self.issues.values() if issue["updated_at"] > query.get("since", "")]
        rows.sort(key=lambda issue: issue["updated_at"])
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        return rows[(page - 1) * size : page * size]


@contextlib.contextmanager
def github_stub():
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            if self.headers["authorization"] == f"Bearer {TOKEN}":
                status, found = stub.answer(self.command, url.path, query, body)
            else:
                status, found = 401, {"message": "Bad credentials"}
            sent = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub = GitHub(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
