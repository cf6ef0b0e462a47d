#!/bin/bash
# All tests, on a Debian machine that has Rust: installs what they need, then formatting, lints, the Rust tests, and the
# end-to-end suites against a real WordPress, Redmine, Kinto, Radicale and Backlot, the official SDKs, Chromium, and
# several nodes on one PostgreSQL.
#
#   ./test.sh                      everything
#   ./test.sh rust                 formatting, lints and cargo's tests; those of PostgreSQL where Debian's or DATABASE_URL is
#   ./test.sh e2e [SUITE...]       the end-to-end suites, or those named (tests/e2e/SUITE.py)
#
# Root, or sudo, is needed only where packages are missing. Everything else stays in target/, tests/sdk/node_modules and
# a temporary directory, on free ports of 127.0.0.1, and nothing is left running.
set -euo pipefail
cd "$(dirname "$0")"

VENV=target/e2e-venv
PACKAGES=(
    gcc libc6-dev
    python3 python3-venv
    # WordPress: its code, a database, and PHP with what WordPress asks of it.
    wordpress mariadb-server php-cli php-mysql php-xml php-mbstring php-curl php-gd
    # Redmine: its code, SQLite, and a web server that is in its bundle.
    redmine redmine-sqlite ruby-sqlite3 thin
    # The dashboard is looked at with it.
    chromium chromium-driver
    # The store that nodes share, and clocks that are apart.
    postgresql faketime openssl
)

step() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND,BUNDLER_VERSION "$@"; fi
}

installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]; }

# Debian starts the services of what it installs; these are only wanted as programs.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then "$@"; return; fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    local code=0
    "$@" || code=$?
    as_root rm -f "$policy"
    return "$code"
}

apt_install() {
    as_root apt-get install -y -qq --no-install-recommends "$@" </dev/null >>target/test-packages.log 2>&1
}

install_packages() {
    local package missing=()
    command -v npm >/dev/null || PACKAGES+=(nodejs npm)
    for package in "${PACKAGES[@]}"; do installed "$package" || missing+=("$package"); done
    [ "${#missing[@]}" -gt 0 ] || return 0
    step "packages: ${missing[*]}"
    mkdir -p target
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    installed ruby-bundler || apt_install ruby-bundler
    echo 'redmine redmine/instances/default/dbconfig-install boolean false' | as_root debconf-set-selections
    # Ruby's own, newer bundler takes gems that Debian packages for missing, and Redmine's set-up fails on that.
    BUNDLER_VERSION=$(dpkg-query -W -f '${Version}' ruby-bundler)
    export BUNDLER_VERSION=${BUNDLER_VERSION%%-*}
    without_services apt_install "${missing[@]}" || { tail -50 target/test-packages.log; return 1; }
    unset BUNDLER_VERSION
}

# Runs a command unless it has been run for this very content of a file; $1 is where that is remembered.
once_for() {
    local stamp=$1 file=$2 sum
    shift 2
    sum=$(sha256sum <"$file")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
    "$@"
    echo "$sum" >"$stamp"
}

install_python() {
    rm -rf "$VENV"
    /usr/bin/python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --no-deps --disable-pip-version-check -r tests/sdk/requirements.txt
}

install_node() { (cd tests/sdk && npm ci --no-fund --no-audit --loglevel=error); }

rust_tests() {
    step 'cargo fmt'
    cargo fmt --all --check
    step 'cargo clippy'
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
    if [ -n "${DATABASE_URL-}" ] || ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1; then
        step 'cargo test, with PostgreSQL'
        tests/with_postgres.sh cargo test --workspace --locked --quiet -- --include-ignored
    else
        step 'cargo test, without what needs PostgreSQL: apt-get install postgresql, or set DATABASE_URL'
        cargo test --workspace --locked --quiet
    fi
}

e2e_tests() {
    step 'packages, SDKs and the server'
    install_packages
    mkdir -p target
    once_for "$VENV/stamp" tests/sdk/requirements.txt install_python
    once_for tests/sdk/node_modules/.stamp tests/sdk/package-lock.json install_node
    cargo build --locked --quiet
    step 'end to end'
    "$VENV/bin/python" tests/e2e/run.py "$@"
}

case "${1-all}" in
    all) install_packages; rust_tests; e2e_tests ;;
    rust) rust_tests ;;
    e2e) shift; e2e_tests "$@" ;;
    *) echo "usage: ./test.sh [rust | e2e [SUITE...]]" >&2; exit 2 ;;
esac
