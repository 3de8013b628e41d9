#!/usr/bin/env bash
# Drills on a real server with the full catalogue, on loopback only:
#   ./scripts/drill.sh reload [DATA]     60 s of load, another version every 5 s, damaged bundles between them
#   ./scripts/drill.sh faults [DATA]     Postgres stopped and started again under load
#   ./scripts/drill.sh attack [DATA]     slow bodies, idle connections (256 open files), SIGTERM under 16 connections
#   ./scripts/drill.sh articles [DATA]   single articles changed under load, with a second server, and 50,000 new articles
#   ./scripts/drill.sh events [DATA]     5,000 events a second beside requests, clicks on two servers, 50 times kill -9,
#                                        and 10 s without Postgres
# DATA is a folder in the H&M schema (default ../shared/data/hm-sample). Prints what happened; fails when a request failed.
# The database is SQLite, but for faults; with DRILL_DATABASE=postgres it is a Postgres server of the drill's own.
# DRILL_EVENTS is how many events a second the drill of events offers (5000).
set -euo pipefail
cd "$(dirname "$0")/.."
drill=${1:?reload, faults, attack, articles or events}
data=$(realpath "${2:-../shared/data/hm-sample}")
port=$((20000 + RANDOM % 12000))
admin=$((port + 1)) database_port=$((port + 2))
export VITRINE__ADMIN__KEY=drill-drill-drill-drill
home=$(mktemp -d)
server= replica= postgres=
finish() {
    for process in $server $replica; do kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; done
    if [ -n "$postgres" ]; then $pg_ctl -m immediate stop >/dev/null 2>&1 || true; fi
    rm -rf "$home"
}
trap finish EXIT

cargo build --release --locked --quiet --bins --example load
bin_dir=target/release
models=$home/models
train() { # CONFIG SEED EPOCHS
    "$bin_dir/vitrine-trainer" train --data "$data" --config "models/configs/$1.toml" --out "$models" \
        --set training.seed="$2" --set training.epochs="$3" 2>"$home/train.log" || { cat "$home/train.log"; exit 1; }
}
if [ "$drill" = articles ]; then
    # Its item tower reads attributes, so new articles have vectors.
    train demo 1 1
else
    # Two versions of one model, from two seeds.
    for seed in 1 2; do train retrieval $seed 2; done
    mapfile -t versions < <(ls "$models/retrieval")
fi

as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
database=sqlite:$home/vitrine.sqlite
if [ "$drill" = faults ] || [ "${DRILL_DATABASE:-sqlite}" = postgres ]; then
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1 || dirname "$(command -v initdb)")
    chmod 755 "$home"
    mkdir "$home/pg"
    if [ "$(id -u)" = 0 ]; then chown postgres "$home/pg"; fi
    as_postgres "$bin/initdb" -D "$home/pg" -A trust -U vitrine >/dev/null
    pg_ctl="$bin/pg_ctl -D $home/pg"
    if [ "$(id -u)" = 0 ]; then pg_ctl="runuser -u postgres -- $pg_ctl"; fi
    start_postgres="$pg_ctl -l $home/pg/log -w -o '-c listen_addresses=127.0.0.1 -p $database_port -k $home/pg' start"
    start_postgres() { eval "$start_postgres" >/dev/null; }
    postgres=yes
    start_postgres
    as_postgres "$bin/createdb" -h 127.0.0.1 -p $database_port -U vitrine vitrine
    database=postgres://vitrine@127.0.0.1:$database_port/vitrine
fi
export VITRINE__DATABASE__URL=$database
"$bin_dir/vitrine-server" migrate >/dev/null
"$bin_dir/vitrine-server" import --data "$data" --rejects "$home/rejects.csv" 2>/dev/null
# The server raises its soft limit of open files by itself; only a hard one keeps it low.
if [ "$drill" = attack ]; then limit_files() { ulimit -n 256; }; else limit_files() { :; }; fi
(limit_files && exec "$bin_dir/vitrine-server" serve --models "$models" --listen 127.0.0.1:$port --admin-listen 127.0.0.1:$admin) 2>"$home/server.log" &
server=$!
for _ in $(seq 300); do curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && break; sleep 0.2; done
kill -0 "$server" && curl -fs "http://127.0.0.1:$port/readyz" >/dev/null || { cat "$home/server.log"; exit 1; }

wait_for_replica() {
    for _ in $(seq 300); do curl -fs "http://127.0.0.1:$((port + 3))/readyz" >/dev/null && return; sleep 0.2; done
    cat "$home/replica.log"
    exit 1
}
if [ "$drill" = articles ]; then
    "$bin_dir/vitrine-server" serve --models "$models" --listen 127.0.0.1:$((port + 3)) \
        --admin-listen 127.0.0.1:$((port + 4)) 2>"$home/replica.log" &
    replica=$!
    wait_for_replica
    python3 scripts/articles.py --url "http://127.0.0.1:$port" --admin "http://127.0.0.1:$admin" \
        --replica "http://127.0.0.1:$((port + 3))" --key "$VITRINE__ADMIN__KEY" --customers "$data/customers.csv" --new 50000
    exit
fi

load() { "$bin_dir/examples/load" --url "http://127.0.0.1:$port/v1/recommendations" --customers "$data/customers.csv" "$@"; }
admin() { # METHOD PATH [BODY]: status and the problem's detail
    curl -s -o "$home/answer" -w '%{http_code} ' -X "$1" -H "authorization: Bearer $VITRINE__ADMIN__KEY" \
        -H 'content-type: application/json' "http://127.0.0.1:$admin$2" ${3:+-d "$3"} || true
    python3 -c 'import json,sys; a=json.load(open(sys.argv[1])); print(a.get("detail") or {k: a[k] for k in a if k in ("version", "previous")})' "$home/answer" 2>/dev/null || cat "$home/answer"
}
if [ "$drill" = events ]; then
    events() { # WHAT ARGUMENTS…: prints what was found and remembers a failure, which an echo would swallow
        local found
        found=$(python3 scripts/events.py "${@:2}") || failed=yes
        echo "$1: $found"
    }
    case $database in
        sqlite:*) rows="python3 -c \"import sqlite3; print(sqlite3.connect('$home/vitrine.sqlite').execute('SELECT count(*) FROM events').fetchone()[0])\"" ;;
        *) rows="$bin/psql -h 127.0.0.1 -p $database_port -U vitrine -d vitrine -Atc 'SELECT count(*) FROM events'" ;;
    esac
    key=$("$bin_dir/vitrine-server" keys create drill-load --scope events 2>/dev/null | grep -o 'vitrine_[0-9a-f]*')
    "$bin_dir/vitrine-server" serve --models "$models" --listen 127.0.0.1:$((port + 3)) \
        --admin-listen 127.0.0.1:$((port + 4)) 2>"$home/replica.log" &
    replica=$!
    wait_for_replica
    events clicks follow --url "http://127.0.0.1:$port" --replica "http://127.0.0.1:$((port + 3))" --key "$key"
    kill "$replica"; wait "$replica" 2>/dev/null || true; replica=
    load --seconds 5 --no-compare >/dev/null
    echo "steady:  $(load --seconds 15 --no-compare)"
    load --seconds 20 --no-compare >"$home/load.json" &
    loader=$!
    events=$("$bin_dir/examples/load" --url "http://127.0.0.1:$port/v1/events" --events-key "$key" \
        --rate "${DRILL_EVENTS:-5000}" --connections 8 --seconds 20) || failed=yes
    echo "events: $events"
    wait "$loader" || failed=yes
    echo "beside:  $(cat "$home/load.json")"
    forget_events() {
        case $database in
            sqlite:*) python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("DELETE FROM events"); c.commit()' "$home/vitrine.sqlite" ;;
            *) "$bin/psql" -h 127.0.0.1 -p $database_port -U vitrine -d vitrine -qc 'DELETE FROM events' ;;
        esac
    }
    if [ -n "$postgres" ]; then
        forget_events
        events outage outage --url "http://127.0.0.1:$port" --key "$key" --rows "$rows" \
            --stop "$pg_ctl -m immediate stop" --start "$start_postgres"
    fi
    kill "$server"; wait "$server" 2>/dev/null || true; server=
    forget_events
    events kills kills --server "$bin_dir/vitrine-server" --rows "$rows" --log "$home/server.log" \
        --arguments "serve --models $models --listen 127.0.0.1:$port --admin-listen 127.0.0.1:$admin" \
        --url "http://127.0.0.1:$port" --admin "http://127.0.0.1:$admin"
    [ -z "${failed:-}" ] || { tail -5 "$home/server.log"; echo "events were lost, doubled or turned away"; exit 1; }
    exit
fi
resident() { awk '/VmRSS/ {print int($2 / 1024) " MB"}' "/proc/$server/status"; }

load --seconds 5 >/dev/null
echo "steady:  $(load --seconds 15)"
echo "resident before: $(resident)"
if [ "$drill" = attack ]; then
    attack() {
        local found
        found=$(./scripts/attack.py "$@") || failed=yes
        echo "$1: $found"
    }
    attack slow-bodies "$port"
    attack idle "$port" "$admin"
    attack stop "$port" --pid "$server"
    wait "$server" || failed=yes
    server=
    [ -z "${failed:-}" ] || { tail -5 "$home/server.log"; echo "clients went unanswered"; exit 1; }
    exit
elif [ "$drill" = reload ]; then
    load --seconds 60 >"$home/load.json" &
    loader=$!
    spoil() { # NAME COMMAND…: a copy of the first version with a fault, in a directory of its own
        local copy=$models/retrieval/$1
        cp -r "$models/retrieval/${versions[0]}" "$copy"
        shift
        (cd "$copy" && "$@")
    }
    spoil 20200101T000001Z-00000001 dd if=/dev/urandom of=items.bin bs=1 seek=5000 count=64 conv=notrunc status=none
    spoil 20200101T000002Z-00000002 truncate -s 1000 index.bin
    spoil 20200101T000003Z-00000003 sed -i 's/"dim": *16/"dim": 17/' manifest.json
    activate() { admin POST /admin/v1/models/retrieval/activate "{\"version\": \"$1\"}"; }
    refuse() { # WHAT VERSION: tried beside the swap of this round
        local answer
        answer=$(activate "$2")
        echo "$1: $answer"
        case $answer in 4*) ;; *) failed=yes ;; esac
    }
    # A server that starts without an active row takes the newest, so the first swap is to the older one.
    for round in $(seq 11); do
        sleep 4.9
        case $round in
            2) refuse "damaged" 20200101T000001Z-00000001 ;;
            4) refuse "truncated" 20200101T000002Z-00000002 ;;
            6) refuse "wrong dimension" 20200101T000003Z-00000003 ;;
            8) refuse "missing" 20200101T000004Z-00000004 ;;
            10) echo "reload: $(admin POST /admin/v1/models/retrieval/reload)" ;;
        esac
        echo "swap: $(activate "${versions[$(((round + 1) % 2))]}")"
    done
    wait "$loader" || failed=yes
else
    load --seconds 40 --no-compare >"$home/load.json" &
    loader=$!
    sleep 8
    $pg_ctl -m immediate stop >/dev/null
    echo "database stopped"
    sleep 10
    echo "readyz:  $(curl -s "http://127.0.0.1:$port/readyz")"
    start_postgres
    echo "database started"
    sleep 5
    echo "readyz:  $(curl -s "http://127.0.0.1:$port/readyz")"
    wait "$loader" || failed=yes
fi
echo "drill:   $(cat "$home/load.json")"
sleep 2
echo "resident after: $(resident)"
echo "steady:  $(load --seconds 15)"
[ -z "${failed:-}" ] || { tail -5 "$home/server.log"; echo "requests failed"; exit 1; }
