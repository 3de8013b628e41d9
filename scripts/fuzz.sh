#!/usr/bin/env bash
# Runs fuzz targets, one after another, and stops at the first finding.
#   ./scripts/fuzz.sh SECONDS [TARGET…]          default: all targets in fuzz/fuzz_targets
# Needs cargo-fuzz (cargo install cargo-fuzz). No nightly compiler: RUSTC_BOOTSTRAP lets the pinned one take the flags.
#   SANITIZER=address    also finds faults of memory in unsafe code; takes longer to build and to run (default: none)
# What is learnt stays in fuzz/corpus, findings in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?give the seconds for each target}
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(cd fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
command -v cargo-fuzz >/dev/null || { echo "error: install cargo-fuzz: cargo install cargo-fuzz" >&2; exit 1; }
export RUSTC_BOOTSTRAP=1
for target in "${targets[@]}"; do
    echo "== $target"
    mkdir -p "fuzz/corpus/$target"
    seeds=()
    if [ -d "fuzz/seeds/$target" ]; then seeds=("fuzz/seeds/$target"); fi
    cargo fuzz run --sanitizer "${SANITIZER:-none}" "$target" "fuzz/corpus/$target" "${seeds[@]}" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -print_final_stats=1 \
        -dict=fuzz/dictionary.txt
done
