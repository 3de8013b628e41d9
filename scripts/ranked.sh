#!/usr/bin/env bash
# Requests a second of a placement that draws from the sources of a learned ranker and orders by it, over HTTP on
# loopback, the load generator on the same processors:
#   ./scripts/ranked.sh [DATA]
# DATA is a folder in the H&M schema (default ../shared/data/hm-sample). BIN is a folder with built programs. Needs wrk
# (Debian: apt-get install wrk). Fails when an answer is not 200.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath "${1:-../shared/data/hm-sample}")
command -v wrk >/dev/null || { echo "error: wrk is missing (Debian: apt-get install wrk)" >&2; exit 1; }
if [ -z "${BIN:-}" ]; then
    cargo build --release --locked --quiet --bin vitrine-server --bin vitrine-trainer
    BIN=target/release
fi
port=$((20000 + RANDOM % 12000))
home=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$home"
}
trap finish EXIT
export VITRINE__ADMIN__KEY=ranked-ranked-ranked VITRINE__DATABASE__URL=sqlite:$home/vitrine.sqlite
export VITRINE__MODELS__DIRECTORY=$home/models

for config in ranker retrieval; do
    "$BIN/vitrine-trainer" train --data "$data" --config "models/configs/$config.toml" --out "$home/models" \
        2>"$home/train.log" || { cat "$home/train.log"; exit 1; }
done
"$BIN/vitrine-server" migrate >/dev/null
"$BIN/vitrine-server" import --data "$data" --rejects "$home/rejects.csv" 2>/dev/null
for model in retrieval ranker; do "$BIN/vitrine-server" models activate "$model" >/dev/null; done
"$BIN/vitrine-server" serve --listen 127.0.0.1:$port \
    --admin-listen 127.0.0.1:$((port + 1)) 2>"$home/server.log" &
server=$!
for _ in $(seq 300); do curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && break; sleep 0.2; done
curl -fsS -o /dev/null -X PUT -H "authorization: Bearer $VITRINE__ADMIN__KEY" -H 'content-type: application/json' \
    -d '{"model": "retrieval", "ranker": "ranker"}' "http://127.0.0.1:$((port + 1))/admin/v1/placements/ranked"

cat >"$home/ask.lua" <<'LUA'
local ids, asked = {}, 0
for line in io.lines(os.getenv("CUSTOMERS")) do
    local id = line:match("^([^,]+),")
    if id and id ~= "customer_id" then ids[#ids + 1] = id end
end
request = function()
    asked = asked + 1
    local body = '{"customer_id":"' .. ids[(asked * 7919) % #ids + 1] .. '","k":12}'
    return wrk.format("POST", nil, {["content-type"] = "application/json"}, body)
end
LUA
url=http://127.0.0.1:$port/v1/placements/ranked/recommendations
export CUSTOMERS=$data/customers.csv
wrk -t1 -c16 -d4 -s "$home/ask.lua" "$url" >/dev/null
wrk -t1 -c16 -d10 -s "$home/ask.lua" "$url" | tee "$home/load"
if grep -q 'Non-2xx' "$home/load"; then echo "error: requests failed" >&2; exit 1; fi
