#!/bin/bash
# Runs a command with DATABASE_URL naming a PostgreSQL of its own: Debian's, in a temporary directory, on a free port of
# 127.0.0.1. It is gone when the command ends. Where DATABASE_URL is set, that database is used as it is.
#
#   tests/with_postgres.sh cargo test --test store_suite -- --include-ignored
#   POSTGRES_SETTINGS='-c fsync=on' tests/with_postgres.sh cargo bench --bench nodes
set -euo pipefail
[ -z "${DATABASE_URL-}" ] || exec "$@"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || { echo 'PostgreSQL is missing: apt-get install postgresql, or set DATABASE_URL' >&2; exit 2; }
directory=$(mktemp -d)
# PostgreSQL refuses to run as root.
as_owner() { if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
[ "$(id -u)" -ne 0 ] || chown postgres "$directory"

end() {
    as_owner "$bin/pg_ctl" -D "$directory/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$directory"
}
trap end EXIT

# What a kill loses is lost without a sync too: only a loss of power would tell, and nobody pulls the plug here.
settings=${POSTGRES_SETTINGS--c fsync=off -c full_page_writes=off}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cd "$directory"
as_owner "$bin/initdb" -D "$directory/data" -U anyhook --auth=trust --no-locale -E UTF8 >"$directory/initdb.log" 2>&1 ||
    { cat "$directory/initdb.log" >&2; exit 1; }
for _ in 1 2 3; do
    port=$(free_port)
    # One line: pg_ctl gives it to a shell.
    options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$directory -c max_connections=300"
    options+=" $settings"
    if as_owner "$bin/pg_ctl" -D "$directory/data" -l "$directory/data/log" -w -t 60 -o "$options" start >/dev/null 2>&1; then
        started=yes
        break
    fi
done
[ -n "${started-}" ] || { cat "$directory/data/log" >&2; exit 1; }
cd - >/dev/null
export DATABASE_URL="postgres://anyhook@127.0.0.1:$port/postgres?sslmode=disable"
# For tests that restart it.
export TEST_PGDATA="$directory/data" TEST_PGBIN="$bin"
code=0
"$@" || code=$?
exit "$code"
