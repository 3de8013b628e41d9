#!/bin/sh
# Nearest-neighbour search beside hnswlib, faiss and usearch: one table of ratios. Takes some minutes.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv/ann
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r benches/peers/requirements-ann.txt
cargo build --release --example ann
exec "$venv/bin/python" benches/peers/ann.py --binary target/release/examples/ann --work target/peers "$@"
