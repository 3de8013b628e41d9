#!/usr/bin/env bash
# Builds both images and runs a small production (docker/compose.yaml) through what happens to it in a year: migration, import,
# training, reload, a rolling restart of both replicas and a restart of the database, all under load.
#
#   ./scripts/containers.sh               everything; the first build takes about half an hour on two cores
#   ./scripts/containers.sh --keep        … and leave it running
#
# Needs Docker with Compose 2, or Podman with podman-compose (ENGINE=podman chooses it where both are), Python 3 and curl.
#   VITRINE_BUILD_OPTIONS   more flags of the image builds
#   VITRINE_STAND_INS=1     Postgres and haproxy from Debian's packages, for machines that reach no image registry
#   VITRINE_SKIP_BUILD=1    use the images vitrine-server and vitrine-trainer that are there
# Loads loopback only. Exits with 1 if anything failed. CI runs it by hand only (.github/workflows/release-checks.yml).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%-28s %s\n' "$1" "$2"; }
fail() { echo "failed: $*" >&2; exit 1; }

engine=${ENGINE:-}
if [ -z "$engine" ]; then
    for candidate in docker podman; do
        if "$candidate" info >/dev/null 2>&1; then engine=$candidate; break; fi
    done
fi
[ -n "$engine" ] || fail "neither Docker nor Podman is running here"
if [ "$engine" = podman ]; then
    command -v podman-compose >/dev/null || fail "install podman-compose (pip install podman-compose)"
    compose_program=(podman-compose)
    # Without it Podman drops the health check of an image.
    formats=(--format docker)
else
    compose_program=(docker compose)
    formats=()
fi
read -ra build_options <<<"${VITRINE_BUILD_OPTIONS:-}"
project=vitrine-check-$$
compose() { "${compose_program[@]}" -p "$project" -f docker/compose.yaml "$@"; }
# name SERVICE: its container, which Docker and podman-compose name differently.
container() { "$engine" ps --all --format '{{.Names}}' | grep -E "^${project}[-_]$1[-_]1$"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
work=$(mktemp -d)
export POSTGRES_PASSWORD=check-check-check VITRINE_ADMIN_KEY=check-check-check-check
export VITRINE_PORT VITRINE_ADMIN_PORT
VITRINE_PORT=127.0.0.1:$(free_port) VITRINE_ADMIN_PORT=$(free_port)
shop_url=http://$VITRINE_PORT admin_url=http://127.0.0.1:$VITRINE_ADMIN_PORT
finish() {
    local status=$?
    if [ "$status" != 0 ]; then
        for service in database server-a server-b proxy; do
            echo "--- last lines of $service" >&2
            "$engine" logs --tail 15 "$(container $service)" >&2 2>&1 || true
        done
    fi
    if [ "${1:-}" = --keep ] && [ "$status" = 0 ]; then
        echo "left running: $shop_url, project $project"
    else
        # An interrupted command goes on without this script.
        "$engine" rm --force "$project-once" >/dev/null 2>&1 || true
        compose --profile train down --volumes >/dev/null 2>&1 || compose down --volumes >/dev/null 2>&1 || true
        rm -rf "$work"
    fi
}
trap 'finish "$@"' EXIT

# --- images
image() { # TARGET: builds it
    local started=$SECONDS
    "$engine" build "${formats[@]}" "${build_options[@]}" -f docker/Dockerfile --target "$1" -t "vitrine-$1" . >"$work/build-$1.log" 2>&1 ||
        { tail -30 "$work/build-$1.log" >&2; fail "the image of the $1 was not built"; }
    say "built vitrine-$1" "$((SECONDS - started)) s"
}
stand_in() { # NAME: builds it
    "$engine" build "${build_options[@]}" -f docker/stand-ins.Dockerfile --target "$1" -t "vitrine-stand-in-$1" . >"$work/build-$1.log" 2>&1 ||
        { tail -30 "$work/build-$1.log" >&2; fail "the stand-in for $1 was not built"; }
}
if [ -z "${VITRINE_SKIP_BUILD:-}" ]; then
    image server
    image trainer
fi
if [ -n "${VITRINE_STAND_INS:-}" ]; then
    stand_in postgres
    stand_in haproxy
    export VITRINE_POSTGRES_IMAGE=localhost/vitrine-stand-in-postgres VITRINE_PROXY_IMAGE=localhost/vitrine-stand-in-haproxy
    if [ "$engine" = docker ]; then
        export VITRINE_POSTGRES_IMAGE=vitrine-stand-in-postgres VITRINE_PROXY_IMAGE=vitrine-stand-in-haproxy
    fi
fi
for target in server trainer; do
    size=$("$engine" image inspect --format '{{.Size}}' "vitrine-$target")
    say "size of vitrine-$target" "$((size / 1000000)) MB"
    user=$("$engine" image inspect --format '{{.Config.User}}' "vitrine-$target")
    [ "${user%%:*}" -gt 0 ] || fail "the image of the $target runs as user \`$user\`"
    say "user of vitrine-$target" "$user"
    if [ "$target" = server ] && [ "$size" -ge 120000000 ]; then fail "the server's image is 120 MB or more"; fi
done
# A file outside /tmp and the volumes cannot be written.
if "$engine" run --rm --read-only vitrine-server migrate --database sqlite:probe.sqlite >"$work/probe.log" 2>&1; then
    fail "the server wrote to its root file system"
fi
# Any other failure, such as of the engine, says nothing about the file system.
grep -q 'Read-only file system' "$work/probe.log" || { cat "$work/probe.log" >&2; fail "the probe of the root file system did not run"; }
say "root file system" "read-only: $(grep -m 1 'Read-only' "$work/probe.log")"

# --- database, shop, model
until_true() { # SECONDS WHAT COMMAND…
    local limit=$1 what=$2 started=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - started)) -lt "$limit" ] || fail "$what: not within $limit s"
        sleep 0.5
    done
}
ready() { # SERVICE
    "$engine" exec "$(container "$1")" /usr/local/bin/vitrine-server health --ready --config /etc/vitrine/vitrine.toml
}
network() { "$engine" inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}' "$(container database)"; }
# once IMAGE ARGUMENTS…: a command of one image beside the running services, with the shop's files and the models.
once() {
    local image=$1
    shift
    "$engine" run --rm --name "$project-once" --read-only --tmpfs /tmp --cap-drop ALL --network "$(network)" \
        --volume "$work/shop:/shop" --volume "${project}_models:/var/lib/vitrine/models" \
        --volume "${project}_runs:/var/lib/vitrine/runs" \
        --env "VITRINE__DATABASE__URL=postgres://vitrine:$POSTGRES_PASSWORD@database/vitrine" "$image" "$@"
}
admin() { # METHOD PATH [BODY]
    curl -fsS --max-time 120 -X "$1" -H "authorization: Bearer $VITRINE_ADMIN_KEY" -H 'content-type: application/json' \
        "$admin_url$2" ${3:+-d "$3"}
}

mkdir -m 777 "$work/shop"
compose up --detach --no-deps database >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "the database did not start"; }
until_true 60 "the database answers" "$engine" exec "$(container database)" pg_isready -h 127.0.0.1 -U vitrine
say "migrate" "$(once vitrine-server migrate)"
once vitrine-trainer generate --out /shop --articles 2000 --customers 3000 --transactions 60000 --days 200 >/dev/null
say "import" "$(once vitrine-server import --data /shop --rejects /tmp/rejects.csv 2>&1 | tail -1)"
train() { # SEED: a bundle in the volume
    once vitrine-trainer train --data /shop --config /etc/vitrine/configs/retrieval.toml --out models --rejects /tmp/rejects.csv \
        --set "training.seed=$1" --set training.epochs=2 >"$work/train-$1.log" 2>&1 ||
        { tail -20 "$work/train-$1.log" >&2; fail "the training did not end well"; }
}
train 1
train 2
mapfile -t versions < <(once vitrine-server models list | grep -oE '[0-9]{8}T[0-9]+Z-[0-9a-f]+' | sort)
[ "${#versions[@]}" = 2 ] || fail "the server's image sees ${#versions[@]} of 2 bundles in the volume"
say "trained, in the volume" "${versions[*]}"
say "activate" "$(once vitrine-server models activate retrieval "${versions[0]}")"

# --- two replicas and a proxy
compose up --detach --no-deps server-a server-b proxy >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "the servers did not start"; }
for service in server-a server-b; do
    until_true 60 "$service is ready" ready $service
    [ "$("$engine" inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$(container $service)")" = true ] || fail "$service can write to its root"
done
if [ "$engine" = podman ]; then
    podman healthcheck run "$(container server-a)" >/dev/null || fail "the health check of the image fails"
else
    health() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container server-a)")" = healthy ]; }
    until_true 60 "the health check of the image" health
fi
say "health check" "passes"
until_true 30 "the proxy answers" curl -fsS "$shop_url/readyz"
customer=$(sed -n 2p "$work/shop/customers.csv" | cut -d, -f1)
say "one request" "$(curl -fsS "$shop_url/v1/recommendations" -H 'content-type: application/json' \
    -d "{\"customer_id\": \"$customer\", \"k\": 3}" | head -c 160) …"

# under_load NAME COMMAND…: runs it while requests come through the proxy; any failed request fails the script.
under_load() {
    local name=$1 load status=0
    shift
    python3 scripts/load.py "$shop_url/v1/recommendations" "$work/shop/customers.csv" --seconds 300 >"$work/load.json" &
    load=$!
    sleep 2
    "$@" || status=$?
    sleep 2
    kill -INT "$load"
    wait "$load" || status=1
    say "$name" "$(cat "$work/load.json")"
    [ "$status" = 0 ] || fail "$name"
}
reload() {
    local version
    for version in "${versions[1]}" "${versions[0]}" "${versions[1]}"; do
        admin POST /admin/v1/models/retrieval/activate "{\"version\": \"$version\"}" >/dev/null
        sleep 2
    done
}
roll() {
    local service
    for service in server-a server-b; do
        "$engine" stop -t 40 "$(container $service)" >/dev/null
        "$engine" start "$(container $service)" >/dev/null
        until_true 60 "$service is ready again" ready $service
        # The proxy finds it within a check or two.
        sleep 2
    done
}
restart_database() {
    "$engine" stop -t 20 "$(container database)" >/dev/null
    sleep 5
    say "while it is away" "$(curl -fsS "$shop_url/readyz")"
    "$engine" start "$(container database)" >/dev/null
    until_true 60 "the database answers" "$engine" exec "$(container database)" pg_isready -h 127.0.0.1 -U vitrine
    recovered() { curl -fsS "$shop_url/readyz" | grep -q '"ready"'; }
    until_true 60 "the servers use the database again" recovered
}
under_load "reload" reload
under_load "rolling restart" roll
under_load "database restart" restart_database
echo "all container checks passed"
