#!/usr/bin/env bash
# Placements on two servers over one throw-away Postgres, on loopback only, under a light load:
#   ./scripts/placements.sh [DATA]
# creates, changes, rolls back and deletes a placement with curl. Prints how long until both servers serve each
# change, and what the load saw. Fails when a request failed, a change took a second or more, or a wrong
# definition was taken.
# DATA is a folder in the H&M schema (default ../shared/data/hm-sample). BIN is a folder with built programs.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath "${1:-../shared/data/hm-sample}")
port=$((20000 + RANDOM % 12000))
database_port=$((port + 4))
export VITRINE__ADMIN__KEY=placements-placements
home=$(mktemp -d)
servers=() loaders=() postgres=
finish() {
    for process in "${loaders[@]}" "${servers[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    if [ -n "$postgres" ]; then as_postgres "$pg/pg_ctl" -D "$home/pg" -m immediate stop >/dev/null 2>&1 || true; fi
    rm -rf "$home"
}
trap finish EXIT

if [ -z "${BIN:-}" ]; then
    cargo build --release --locked --quiet --bin vitrine-server --bin vitrine-trainer
    BIN=target/release
fi
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1 || dirname "$(command -v initdb)")
chmod 755 "$home"
mkdir "$home/pg"
if [ "$(id -u)" = 0 ]; then chown postgres "$home/pg"; fi
as_postgres "$pg/initdb" -D "$home/pg" -A trust -U vitrine >/dev/null
postgres=yes
as_postgres "$pg/pg_ctl" -D "$home/pg" -l "$home/pg/log" -w \
    -o "-c listen_addresses=127.0.0.1 -p $database_port -k $home/pg" start >/dev/null
as_postgres "$pg/createdb" -h 127.0.0.1 -p $database_port -U vitrine vitrine
export VITRINE__DATABASE__URL=postgres://vitrine@127.0.0.1:$database_port/vitrine

"$BIN/vitrine-trainer" train --data "$data" --config models/configs/frequency.toml --out "$home/models" \
    2>"$home/train.log" || { cat "$home/train.log"; exit 1; }
"$BIN/vitrine-server" migrate >/dev/null
"$BIN/vitrine-server" import --data "$data" --rejects "$home/rejects.csv" 2>/dev/null
for replica in 0 1; do
    "$BIN/vitrine-server" serve --models "$home/models" --listen 127.0.0.1:$((port + replica)) \
        --admin-listen 127.0.0.1:$((port + 2 + replica)) 2>"$home/server$replica.log" &
    servers+=($!)
done
for replica in 0 1; do
    url=http://127.0.0.1:$((port + replica))/readyz
    for _ in $(seq 300); do curl -fs "$url" >/dev/null && break; sleep 0.2; done
    curl -fs "$url" >/dev/null || { cat "$home/server$replica.log"; exit 1; }
done

for replica in 0 1; do
    url=http://127.0.0.1:$((port + replica))/v1/placements/home/recommendations
    python3 scripts/load.py "$url" "$data/customers.csv" --seconds 600 --connections 2 --rate 100 \
        >"$home/load$replica.json" &
    loaders+=($!)
done
sleep 2

failed=
now() { date +%s%3N; }
admin() { # METHOD PATH [BODY]: the status; the answer is in a file
    curl -s -o "$home/answer" -w '%{http_code}' -X "$1" -H "authorization: Bearer $VITRINE__ADMIN__KEY" \
        -H 'content-type: application/json' "http://127.0.0.1:$((port + 2))/admin/v1/placements/$2" ${3:+-d "$3"}
}
served() { # REPLICA: the version of `home` that answers there
    curl -s "http://127.0.0.1:$((port + $1))/v1/placements/home/recommendations?k=1" |
        sed 's/.*"placement":{"name":"home","version":\([0-9]*\).*/\1/'
}
change() { # WHAT VERSION METHOD PATH [BODY]: makes a change and waits until both serve the version
    local what=$1 version=$2 began status took
    shift 2
    began=$(now)
    status=$(admin "$@")
    until [ "$(served 0)" = "$version" ] && [ "$(served 1)" = "$version" ]; do
        if [ $(($(now) - began)) -gt 10000 ]; then break; fi
    done
    took=$(($(now) - began))
    echo "$what: status $status, both serve version $version after $took ms"
    if [ "$took" -ge 1000 ] || [[ $status != 2* ]]; then failed=yes; fi
}
show() { python3 -m json.tool "$home/answer" "$home/shown"; head -"$1" "$home/shown"; }

wanted='{"k": 6, "sources": [{"source": "popular"}, {"source": "buy_again"}], "fields": ["prod_name"]}'
echo "preview: status $(admin POST home/preview "{\"definition\": $wanted}")"
show 12
change create 1 PUT home "$wanted"
change change 2 PUT 'home?version=1' '{"k": 4, "filter": {"index_group_name": "Ladieswear"}}'
echo "late:    status $(admin PUT 'home?version=1' '{}'): $(cat "$home/answer")"
status=$(admin PUT home '{"filter": {"color": "Black"}}')
echo "wrong:   status $status: $(cut -c1-300 "$home/answer")"
[ "$status" = 422 ] || failed=yes
change rollback 3 POST home/rollback
change delete 0 DELETE home
change undo 5 POST home/rollback

sleep 1
for loader in "${loaders[@]}"; do
    kill -INT "$loader"
    wait "$loader" || failed=yes
done
loaders=()
for replica in 0 1; do echo "load on server $replica: $(cat "$home/load$replica.json")"; done
if [ -n "$failed" ]; then echo "it did not go as it should"; exit 1; fi
