"""A front of the simulated vendor: takes a token for each account, and notes which process asks for which."""

import contextlib
import http.client
import http.server
import threading
import time
import urllib.parse

# Headers that are of one connection alone.
HOP = {"connection", "transfer-encoding", "content-length", "host", "authorization"}


@contextlib.contextmanager
def gateway(vendor, token, see):
    """Answers the URL of a front that takes any token for an account of its own and gives the vendor's one `token` in its
    place. `see` is told of each request (sightings.Sightings)."""
    target = urllib.parse.urlsplit(vendor.url).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        # Whose the connection is, once that is known.
        pid = None

        def setup(self):
            super().setup()
            self.upstream = http.client.HTTPConnection(target, timeout=30)

        def finish(self):
            self.upstream.close()
            with contextlib.suppress(OSError):
                super().finish()

        def do_GET(self):
            began = time.monotonic()
            self.pid = self.pid or see.owner(self.client_address[1], self.server.server_address[1])
            account = self.headers.get("authorization", "").removeprefix("Bearer ")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            self.upstream.request("GET", self.path, headers={**headers, "authorization": f"Bearer {token}"})
            answer = self.upstream.getresponse()
            body = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            see.note(("poll", account), self.pid, began, time.monotonic())

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request, client_address):
            """A peer that was killed resets its connections: nothing to tell."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
