"""A way to a TCP server that can be cut, and can fall silent."""

import contextlib
import socket
import struct
import threading

# Closes with a reset.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Carries bytes between its own port and a server's."""

    def __init__(self, target_port):
        self.target = ("127.0.0.1", target_port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.lock, self.sockets = threading.Lock(), set()
        self.is_cut, self.flows = False, threading.Event()
        self.flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Resets all connections, and every new one."""
        self.is_cut = True
        self.flows.set()
        with self.lock:
            sockets, self.sockets = self.sockets, set()
        for end in sockets:
            reset(end)

    def stall(self):
        """Holds all bytes back and says nothing, as a network does that has lost its way."""
        self.flows.clear()

    def heal(self):
        """Carries again; what was held back too."""
        self.is_cut = False
        self.flows.set()

    def close(self):
        self.listener.close()
        self.cut()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        self.flows.wait()
        try:
            far = socket.create_connection(self.target, timeout=10)
        except OSError:
            reset(near)
            return
        far.settimeout(None)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.sockets |= {near, far}
        if self.is_cut:
            reset(near)
            reset(far)
        for ends in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.flows.wait()
                sink.sendall(data)
            self.flows.wait()
        with self.lock:
            self.sockets -= {source, sink}
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def reset(end):
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # A thread that reads would keep a mere close from telling anybody.
        end.shutdown(socket.SHUT_RD)
        end.close()


@contextlib.contextmanager
def proxy(target_port):
    way = Proxy(target_port)
    try:
        yield way
    finally:
        way.close()
