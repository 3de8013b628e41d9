#!/bin/sh
# One two-tower training step beside PyTorch with sparse embeddings: a table of ratios. PyTorch's wheel is large.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv/training
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r benches/peers/requirements-training.txt
cargo build --release --example training_step
exec "$venv/bin/python" benches/peers/training_step.py --binary target/release/examples/training_step "$@"
