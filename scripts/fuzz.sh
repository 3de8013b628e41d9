#!/usr/bin/env bash
# Runs fuzz targets one after another and stops at the first finding.
#   ./scripts/fuzz.sh SECONDS [TARGET…]          default: all of fuzz/fuzz_targets
# Needs the pinned compiler and a C++ compiler, nothing else. It instruments our own crates only and shares the dependencies of the
# release build, so it starts soon. With cargo-fuzz and a nightly compiler, which also watch memory:
#   cargo +nightly fuzz run index
# What is learnt stays in fuzz/corpus; a finding is written to fuzz/artifacts and repeated by giving its file as the argument:
#   target/release/index fuzz/artifacts/index/crash-…
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?give the seconds for each target}
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(cd fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
RUSTC_WRAPPER=$PWD/fuzz/instrument.sh cargo build --release --locked --manifest-path fuzz/Cargo.toml --bins
for target in "${targets[@]}"; do
    echo "== $target"
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    folders=("fuzz/corpus/$target")
    if [ -d "fuzz/seeds/$target" ]; then folders+=("fuzz/seeds/$target"); fi
    "$CARGO_TARGET_DIR/release/$target" "${folders[@]}" -artifact_prefix="fuzz/artifacts/$target/" -dict=fuzz/dictionary.txt \
        -max_total_time="$seconds" -len_control=0 -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -print_final_stats=1
done
