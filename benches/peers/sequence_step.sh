#!/bin/sh
# One training step of a sequence model beside plain PyTorch: a table of ratios. PyTorch's wheel is large.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv/training
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r benches/peers/requirements-training.txt
cargo build --release --example sequence_step
exec "$venv/bin/python" benches/peers/sequence_step.py --binary target/release/examples/sequence_step "$@"
