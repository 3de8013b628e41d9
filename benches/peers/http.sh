#!/usr/bin/env bash
# The whole server against the stack a team would write itself (FastAPI, ONNX Runtime, hnswlib; pinned in
# requirements-http.txt), over HTTP on this machine, in turn, with the same model, catalogue and requests:
#   benches/peers/http.sh [DATA] [SECONDS] [ROUNDS]
# DATA is a folder in the H&M schema (default ../shared/data/hm-sample). Both answer k = 12, at 16 connections and at one.
# Beside it, how many requests a second our server answers that need nothing but HTTP (GET /livez).
set -euo pipefail
cd "$(dirname "$0")/../.."
data=$(realpath "${1:-../shared/data/hm-sample}") seconds=${2:-10} rounds=${3:-3}
port=$((20000 + RANDOM % 12000))
home=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; fi; }
trap 'stop; rm -rf "$home"' EXIT

cargo build --release --locked --quiet --bins --example load
python=.venv/http/bin/python
[ -x "$python" ] || python3 -m venv .venv/http
"$python" -m pip install --quiet --requirement benches/peers/requirements-http.txt
bundle=$(target/release/vitrine-trainer train --data "$data" --config models/configs/retrieval.toml --out "$home/models" 2>"$home/train.log")
export VITRINE__DATABASE__URL=sqlite:$home/vitrine.sqlite VITRINE__ADMIN__KEY=bench-bench-bench-bench
target/release/vitrine-server migrate >/dev/null
target/release/vitrine-server import --data "$data" --rejects "$home/rejects.csv" >/dev/null 2>&1

ready() { for _ in $(seq 600); do curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && return; sleep 0.2; done; cat "$home/$1.log"; exit 1; }
start() {
    case $1 in
        vitrine) target/release/vitrine-server serve --models "$home/models" --listen 127.0.0.1:$port --admin-listen 127.0.0.1:0 2>"$home/vitrine.log" & ;;
        peer) BUNDLE=$(realpath "$bundle") DATA=$data "$python" -m uvicorn --app-dir benches/peers http_peer:app --host 127.0.0.1 --port $port --no-access-log --log-level warning 2>"$home/peer.log" & ;;
    esac
    server=$!
    ready "$1"
}
measure() { # CONNECTIONS
    target/release/examples/load --url "http://127.0.0.1:$port/v1/recommendations" --customers "$data/customers.csv" \
        --k 12 --no-compare --connections "$1" --seconds "$seconds"
}
measure_livez() { target/release/examples/load --url "http://127.0.0.1:$port/livez" --get --connections 16 --seconds "$seconds"; }

for round in $(seq "$rounds"); do
    for side in vitrine peer; do
        start $side
        measure 16 >/dev/null
        for connections in 16 1; do
            echo "{\"round\": $round, \"side\": \"$side\", \"measured\": $(measure $connections)}" | tee -a "$home/rows.json" >&2
        done
        if [ $side = vitrine ]; then
            echo "{\"round\": $round, \"side\": \"livez\", \"measured\": $(measure_livez)}" | tee -a "$home/rows.json" >&2
        fi
        stop
    done
done
"$python" - "$home/rows.json" <<'PY'
import json, statistics, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print(f"{'connections':>12} {'':12} {'requests/s':>12} {'p50 us':>10} {'p99 us':>10}")
for connections in (16, 1):
    medians = {}
    for side in ("vitrine", "peer"):
        of = [r["measured"] for r in rows if r["side"] == side and r["measured"]["connections"] == connections]
        medians[side] = [statistics.median(m[key] for m in of) for key in ("requests_per_second", "p50_us", "p99_us")]
        print(f"{connections:>12} {side:12} {medians[side][0]:>12.0f} {medians[side][1]:>10.0f} {medians[side][2]:>10.0f}")
    ours, peer = medians["vitrine"], medians["peer"]
    print(f"{connections:>12} {'ratio':12} {ours[0] / peer[0]:>12.2f} {ours[1] / peer[1]:>10.3f} {ours[2] / peer[2]:>10.3f}")
    if connections == 16:
        livez = statistics.median(r["measured"]["requests_per_second"] for r in rows if r["side"] == "livez")
        print(f"{connections:>12} {'GET /livez':12} {livez:>12.0f}   recommendations reach {ours[0] / livez:.0%} of it")
PY
