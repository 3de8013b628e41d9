#!/usr/bin/env bash
# Every test, those on Postgres and those against ONNX Runtime and MLflow included. Arguments go to `cargo test`:
#   ./scripts/test.sh            everything
#   ./scripts/test.sh --test store
#
# Needs, beside the Rust toolchain and a C compiler:
#   * Postgres 13 or newer (programs only; the tests start throw-away clusters of their own). Found in PATH or in
#     /usr/lib/postgresql/*/bin; installed by apt-get when it is missing and this runs as root.
#   * Python 3.11 or newer with venv: the tests in tests/onnx, tests/experiments and tests/api make virtual environments with the
#     pinned packages of their requirements.txt, unless VITRINE_TEST_PYTHON names an interpreter that has both.
#   * Node.js 20 or newer for the TypeScript client. Without it that test says so and passes, unless CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."

has_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
}

has_python() {
    [ -n "${VITRINE_TEST_PYTHON:-}" ] || python3 -c 'import venv, ensurepip' 2>/dev/null
}

# install PACKAGE...: on Debian and its kin, when allowed to.
install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "error: the tests need $*: install it (Debian: sudo apt-get install $*), then run this again" >&2
        exit 1
    fi
    echo "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_postgres || install postgresql
has_python || install python3 python3-venv
if [ "$(id -u)" = 0 ] && ! id postgres >/dev/null 2>&1; then
    echo "error: Postgres refuses to run as root and there is no user \`postgres\`: add one, or run as another user" >&2
    exit 1
fi

# Examples have no tests; clippy compiles them too.
[ $# -gt 0 ] || set -- --tests
cargo test --locked "$@"
