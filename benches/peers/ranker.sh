#!/bin/sh
# The learned ranker beside LightGBM's LambdaMART, on the same lists and features:
#   benches/peers/ranker.sh DATA [CONFIG] [SEEDS]
# For each seed the trainer writes the lists of a run; LightGBM learns from the same training lists, chooses its number of
# trees on the validation lists, and ranks the test lists, as the ranker of the bundle does. All are in one table.
set -eu
cd "$(dirname "$0")/../.."
data=${1:?give a folder with data, such as Complete Journey} config=${2:-models/configs/ranker.toml} seeds=${3:-1 2 3}
venv=.venv/ranker
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r benches/peers/requirements-ranker.txt
cargo build --release --locked --quiet --bin vitrine-trainer
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
set --
for seed in $seeds; do
    # Both learn from the training lists alone, so that neither has seen a later week than the other.
    target/release/vitrine-trainer train --data "$data" --config "$config" --out "$home/models" --runs "$home/$seed" \
        --rejects "$home/rejects.csv" --set "training.seed=$seed" --set ranker.write_lists=true \
        --set 'training.refit="none"' >"$home/bundle"
    set -- "$@" --run "$seed" "$home/$seed"/*/lists "$(cat "$home/bundle")"
done
"$venv/bin/python" benches/peers/ranker.py "$@"
