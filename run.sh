#!/usr/bin/env bash
# Shows CdcOrleans at work: a shop's database, the pipeline that reads its rows, somebody who writes to it meanwhile, and the
# proof that what was delivered matches the database. Or, with --config, runs a pipeline of your own. See --help.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$ROOT/scripts/common.sh"
. "$ROOT/scripts/postgres.sh"

usage() {
  cat <<'HELP'
./run.sh [options]                 the World Shop: database, pipeline, backfill, load, live figures, proof
./run.sh --config cdc.yaml         a pipeline of your own, in the foreground

  --duration 30s      end by itself after this time of load, then verify (default: until Ctrl-C, without verifying)
  --rate N            row changes per second (default 200)
  --kafka HOST:PORT   deliver to this Kafka too, and verify there as well
  --postgres TEXT     use this PostgreSQL instead of a private one: an Npgsql connection string of a role that may create
                      roles and databases. What is made there stays; samples/TheWorldShop/teardown.sh removes it
  --port N            port of the gateway (default: 8080, or a free one when that is taken)
  --config FILE       build, and run this configuration
  --help              this text

Environment: CDC_POSTGRES_BIN   folder with PostgreSQL's server programs (initdb, pg_ctl)
             CDC_NO_INSTALL=1   never install anything
A private PostgreSQL is made anew by every run. Everything is kept in .local/; logs: .local/*.log
HELP
}

duration='' rate=200 kafka='' admin='' port='' config=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --duration | --rate | --kafka | --postgres | --port | --config)
      [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value (see --help)"
      case $1 in
        --duration) duration=$2 ;; --rate) rate=$2 ;; --kafka) kafka=$2 ;;
        --postgres) admin=$2 ;; --port) port=$2 ;; --config) config=$2 ;;
      esac
      shift 2 ;;
    *) die "unknown option '$1' (see --help)" ;;
  esac
done
[[ -z $duration || $duration =~ ^[0-9]+(\.[0-9]+)?(ms|s|m|h)$ ]] || die "--duration '$duration': write e.g. 30s or 5m"
[[ $rate =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "--rate '$rate': write a number of changes per second"
[[ -z $port || $port =~ ^[0-9]{1,5}$ ]] || die "--port '$port': write a port number"
[[ -z $kafka || $kafka =~ ^[^:,]+:[0-9]+$ ]] || die "--kafka '$kafka': write HOST:PORT"
[ -z "$config" ] || [ -f "$config" ] || die "--config '$config': no such file"

LOCAL=$ROOT/.local
SILO=$ROOT/src/Silo/bin/Release/net10.0/CdcOrleans.Silo.dll
SHOP=$ROOT/samples/TheWorldShop/Workload/bin/Release/net10.0/theworldshop.dll
# No compiler or build server outlives this script.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

need_dotnet
mkdir -p "$LOCAL"

if [ -n "$config" ]; then
  say "Building ..."
  build "$LOCAL/build.log" "$ROOT/src/Silo/Silo.csproj"
  exec dotnet "$SILO" run --config "$config"
fi

# One run at a time in this checkout: they share .local/.
pidfile=$LOCAL/run.pid
until (set -o noclobber && echo $$ >"$pidfile") 2>/dev/null; do
  other=$(cat "$pidfile" 2>/dev/null || true)
  if running "$other" run.sh; then die "already running in this checkout (process $other). End that run first (Ctrl-C there, or: kill $other)."; fi
  rm -f "$pidfile"
done

pid_silo='' pid_load='' pid_watch='' folder='' failed=1
cleanup() {
  trap '' INT TERM EXIT
  set +e
  end_process "$pid_foreground" '' 15
  end_process "$pid_watch" '' 5
  end_process "$pid_load" '' 15
  if running "$pid_silo"; then say "Stopping ..."; fi
  end_process "$pid_silo" '' 30
  rm -f "$LOCAL/silo.pid"
  if [ -n "$folder" ]; then
    stop_postgres "$folder"
    if [ "$failed" = 0 ]; then remove_postgres "$folder"; rm -f "$LOCAL/shop.env"; else say "PostgreSQL's data is kept in $folder until the next run."; fi
  fi
  rm -f "$pidfile"
}
trap cleanup EXIT
# Without --duration, Ctrl-C is how a run ends; with it, the run was cut short and proves nothing.
trap 'failed=0; say ""; [ -z "$duration" ] && exit 0; exit 130' INT TERM

# What a killed run left behind.
end_process "$(cat "$LOCAL/silo.pid" 2>/dev/null || true)" "$SILO" 30

if [ -n "$port" ]; then
  ! port_taken "$port" || die "port $port is taken: name another with --port, or end what listens there."
else
  port=8080
  ! port_taken "$port" || port=$(free_port)
fi
if [ -n "$kafka" ]; then
  reachable "${kafka%:*}" "${kafka##*:}" || die "no answer from Kafka at $kafka: is it running, and is the address right?"
fi

say "Building ..."
build "$LOCAL/build.log" "$ROOT/src/Silo/Silo.csproj" "$ROOT/samples/TheWorldShop/Workload/Workload.csproj"

private=''
if [ -z "$admin" ]; then
  need_postgres
  folder=$(postgres_folder "$LOCAL/postgres")
  pgport=$(free_port)
  say "Starting a private PostgreSQL ($("$POSTGRES_BIN/postgres" --version | cut -d' ' -f3)) on port $pgport ..."
  start_postgres "$folder" "$pgport"
  base="Host=127.0.0.1;Port=$pgport" admin="Host=127.0.0.1;Port=$pgport;Username=postgres;Database=postgres" login=';Username=cdc'
  private=1
else
  # Everything of the given connection but who and which database.
  base=$(printf '%s' "$admin" | tr ';' '\n' | grep -viE '^ *(user ?name|user ?id|uid|user|password|pwd|passwd|database|db) *=' | grep . | paste -sd';')
  [ -n "${CDC_SHOP_PASSWORD:-}" ] || CDC_SHOP_PASSWORD=$(head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9')
  export CDC_SHOP_PASSWORD
  login=";Username=cdc;Password=$CDC_SHOP_PASSWORD"
fi
shop="$base;Database=theworldshop$login"
yaml_login=${login/"${CDC_SHOP_PASSWORD:-none}"/'${CDC_SHOP_PASSWORD}'}
foreground dotnet "$SHOP" setup --admin "$admin"
# The rows are there before the pipeline; those of a backfill are the only events of most of them.
foreground dotnet "$SHOP" seed --connection "$shop"

# The pipeline's configuration, as a user would write it.
[ -z "$private" ] || rm -rf "$LOCAL/out"
quote() { printf "'%s'" "${1//\'/\'\'}"; }
{
  cat <<YAML
cluster: { id: theworldshop, silo_port: 0, client_port: 0 }
control:
  connection: $(quote "$base;Database=cdc$yaml_login")
sources:
  theworldshop:
    postgres:
      connection: $(quote "$base;Database=theworldshop$yaml_login")
      slot: cdc_theworldshop
      publication: cdc_theworldshop
    tables: ["public.*"]
    backfill: initial
    heartbeat: 1s
sinks:
  files: { type: file, directory: $(quote "$LOCAL/out") }
YAML
  [ -z "$kafka" ] || printf '  events: { type: kafka, bootstrap: %s }\n' "$(quote "$kafka")"
  cat <<YAML
routes:
  - { from: "theworldshop.public.*", to: [files${kafka:+, events}], format: debezium }
gateway:
  listen: http://127.0.0.1:$port
YAML
} >"$LOCAL/cdc.yaml"

# For the sample's own scripts.
(umask 077 && {
  printf 'SHOP_ADMIN=%q\nSHOP_CONNECTION=%q\nSHOP_GATEWAY=%q\n' "$admin" "$shop" "http://127.0.0.1:$port"
  printf 'SHOP_FILES=%q\nSHOP_KAFKA=%q\n' "$LOCAL/out" "$kafka"
} >"$LOCAL/shop.env")

# In a session of their own, so that Ctrl-C reaches this script alone, which ends them in order.
say "Starting silo and gateway ..."
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
setsid dotnet "$SILO" run --config "$LOCAL/cdc.yaml" >"$LOCAL/silo.log" 2>&1 </dev/null &
pid_silo=$!
echo "$pid_silo" >"$LOCAL/silo.pid"
alive() { running "$pid_silo" || { tail -20 "$LOCAL/silo.log" >&2; die "the silo ended; its log: .local/silo.log"; }; }
deadline=$((SECONDS + 90))
until [ "$(http_status "$port" /health/ready)" = 200 ]; do
  alive
  [ "$SECONDS" -lt "$deadline" ] || { tail -20 "$LOCAL/silo.log" >&2; die "the gateway was not ready within 90 s; the silo's log: .local/silo.log"; }
  sleep 0.2
done

until='until Ctrl-C'
[ -z "$duration" ] || until="for $duration"
cat <<ADDRESSES

  The source, live       http://127.0.0.1:$port/api/v1/sources/theworldshop
  A customer's entity    http://127.0.0.1:$port/api/v1/entities/theworldshop/public.customers/1
  The API's description  http://127.0.0.1:$port/openapi/v1.json
  Metrics (Prometheus)   http://127.0.0.1:$port/metrics
  Delivered events       $LOCAL/out/*.ndjson${kafka:+ and Kafka at $kafka, topics theworldshop.public.*}
  The pipeline           $LOCAL/cdc.yaml

$rate changes/s $until
ADDRESSES

setsid dotnet "$SHOP" run --connection "$shop" --rate "$rate" ${duration:+--duration "$duration"} >"$LOCAL/load.log" 2>&1 </dev/null &
pid_load=$!
say "" "The backfill of the rows that were there before, while these changes go on:"
foreground dotnet "$SHOP" backfill --gateway "http://127.0.0.1:$port" --source theworldshop || die "the backfill failed; the silo's log: .local/silo.log"
say ""
setsid dotnet "$SHOP" watch --gateway "http://127.0.0.1:$port" --source theworldshop </dev/null &
pid_watch=$!
while running "$pid_load"; do
  alive
  sleep 0.3
done
load=0
wait "$pid_load" || load=$?
end_process "$pid_watch" '' 5
[ "$load" = 0 ] || { tail -5 "$LOCAL/load.log" >&2; die "the load failed; its log: .local/load.log"; }
say "" "Written: $(tail -1 "$LOCAL/load.log")"

verified=0
verify() { # verify WHERE...
  alive
  foreground dotnet "$SHOP" verify --connection "$shop" --source theworldshop --wait 60s "$@" || verified=1
}
verify --files "$LOCAL/out"
[ -z "$kafka" ] || verify --kafka "$kafka" ${private:+--since "$since"}
if [ "$verified" != 0 ]; then die "delivered events do not match the database; events: .local/out, the silo's log: .local/silo.log"; fi
failed=0
say "Delivered events match the database."
