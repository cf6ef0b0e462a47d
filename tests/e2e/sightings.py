"""Which process did what, and when: told by the connections that its requests come on."""

import contextlib
import os
import threading
import time


def owner(port, server_port, pids):
    """Which of these processes holds the connection from `port` of this machine to `server_port`; none if it is gone."""
    inode = inode_of(port, server_port)
    for pid in pids if inode else ():
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor.path) == f"socket:[{inode}]":
                        return pid
    return None


def inode_of(port, server_port):
    ends = (f"0100007F:{port:04X}", f"0100007F:{server_port:04X}")
    with open("/proc/net/tcp", encoding="ascii") as table:
        next(table)
        for line in table:
            fields = line.split()
            if (fields[1], fields[2]) == ends:
                return fields[9]
    return None


class Sightings:
    """Requests, each with what it was about (its key), the process it came from, and when it began and ended.
    `pids()` answers which processes there are."""

    def __init__(self, pids):
        self.pids = pids
        self.rows, self.last, self.lock = [], {}, threading.Lock()

    def owner(self, port, server_port):
        """Which of the processes a connection is of. The table of connections changes while it is read: one that is not
        found may be found the next time."""
        return owner(port, server_port, self.pids())

    def note(self, key, pid, began, ended):
        with self.lock:
            self.rows.append((key, pid, began, ended))
            if pid is not None:
                self.last[key] = (pid, began)

    def work_of(self, pid, within_s):
        """What a process was the last one to do, not longer ago than that."""
        since = time.monotonic() - within_s
        with self.lock:
            return {key for key, (by, at) in self.last.items() if by == pid and at >= since}

    def of(self, pid, since):
        """What a process has begun since then."""
        with self.lock:
            return [row for row in self.rows if row[1] == pid and row[2] >= since]

    def first(self, key, since, but=None):
        """When something was first begun since then, by any process, or by any known one other than `but`; none if it was
        not."""
        is_other = lambda pid: but is None or pid not in (None, but)
        with self.lock:
            times = [began for of, pid, began, _ in self.rows if of == key and began >= since and is_other(pid)]
        return min(times, default=None)

    def at_once(self):
        """What two processes did at the same time: the key, and both requests."""
        found, ends = [], {}
        with self.lock:
            rows = sorted((row for row in self.rows if row[1] is not None), key=lambda row: row[2])
        for key, pid, began, ended in rows:
            of_key = ends.setdefault(key, {})
            found += [(key, (pid, began), (by, end)) for by, end in of_key.items() if by != pid and end > began]
            of_key[pid] = max(ended, of_key.get(pid, ended))
        return found
