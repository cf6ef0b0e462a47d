"""Runs the end-to-end suites named on the command line, or all, and closes with "N passed, N failed".

A suite is a module with a context manager `world()`, which starts what its tests share, and functions `test_...` that
take what it yields. They run in the order they are written in. E2E_ONLY runs only those whose names hold its text.
"""

import importlib
import os
import signal
import sys
import time
import traceback

SUITES = [
    "test_sdk",
    "test_retries",
    "test_verify",
    "test_github",
    "test_wordpress",
    "test_redmine",
    "test_kinto",
    "test_caldav",
    "test_hubspot",
    "test_linear",
    "test_stripe",
    "test_dashboard",
    "kill",
    "fleet",
    "upgrade",
    "failover",
    "database_tls",
]


def tests_of(module):
    wanted = os.environ.get("E2E_ONLY", "")
    names = [name for name in vars(module) if name.startswith("test_") and wanted in name]
    return [getattr(module, name) for name in names]


def attempt(name, act, log=str):
    """Runs `act`, prints how it went, with the server's `log()` where it failed, and answers whether it did well."""
    start = time.monotonic()
    try:
        act()
    except Exception:
        print(f"FAILED {name} ({time.monotonic() - start:.1f} s)\n{traceback.format_exc()}\n{log()}", flush=True)
        return False
    print(f"ok     {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return True


def run_suite(name):
    """Answers how many passed and how many failed. Where the world cannot be made, all of its tests have failed."""
    module = importlib.import_module(name)
    tests = tests_of(module)
    if not tests:
        return 0, 0
    results = []

    def whole():
        with module.world() as world:
            for test in tests:
                log = world.server.process.tail if hasattr(world, "server") else str
                results.append(attempt(f"{name}.{test.__name__}", lambda: test(world), log))

    if not attempt(f"{name}: start and end", whole):
        return results.count(True), max(1, len(tests) - results.count(True))
    return results.count(True), results.count(False)


def main(suites):
    # A run that is told to end must still end what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed = failed = 0
    for name in suites:
        well, badly = run_suite(name)
        passed, failed = passed + well, failed + badly
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or SUITES))
