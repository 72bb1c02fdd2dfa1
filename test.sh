#!/usr/bin/env bash
# Builds everything and runs the tests. The last line says how it went: "N passed, N failed, N skipped".
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$ROOT/scripts/common.sh"
. "$ROOT/scripts/postgres.sh"

usage() {
  cat <<'HELP'
./test.sh [suite ...] [--no-build] [-- options of the test programs]

Suites: unit         no servers, no files
        integration  each part against real servers
        cluster      real processes that are stopped and killed
        always       the property tests and those of whole clusters in one process, with entities that wake for every change
        always-cluster  failures and streaming of the cluster suite, with such entities
        conformance  the same workload compared with a real Debezium, or with what one recorded earlier
        shop         ./run.sh for ten seconds, as a user would start it
Without a name: all of them. E.g.  ./test.sh unit -- -class '*KeyText*'

PostgreSQL's server programs are found (CDC_POSTGRES_BIN, /usr/lib/postgresql, PATH) or, as root, installed with apt-get;
CDC_NO_INSTALL=1 forbids that. Kafka: the broker at CDC_TEST_KAFKA (host:port); else one that is started with bin/broker of
the folder CDC_TEST_SERVERS or ../shared/servers, where there is one; else the mock broker in librdkafka.
Further inputs of the conformance suite: those in the folder CDC_TEST_CASES or ../shared/cases, where there is one (CONTRIBUTING.md).
HELP
}

suites=() skip_build='' options=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --no-build) skip_build=1 ;;
    --) shift; options=("$@"); break ;;
    unit | integration | cluster | always | always-cluster | conformance | shop) suites+=("$1") ;;
    *) die "unknown suite or option '$1' (see --help)" ;;
  esac
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(unit integration cluster always always-cluster conformance shop)

LOCAL=$ROOT/.local/tests
rm -rf "$LOCAL"
mkdir -p "$LOCAL"
# No compiler or build server outlives this script.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
trap 'end_process "$pid_foreground" "" 90' EXIT
trap 'exit 130' INT TERM

need_dotnet
need_postgres
export CDC_TEST_POSTGRES_BIN=$POSTGRES_BIN CDC_POSTGRES_BIN=$POSTGRES_BIN
say "PostgreSQL: $("$POSTGRES_BIN/postgres" --version | cut -d' ' -f3-) in $POSTGRES_BIN"

if [ -n "${CDC_TEST_KAFKA:-}" ]; then
  say "Kafka: the broker at $CDC_TEST_KAFKA"
else
  if [ -z "${CDC_TEST_SERVERS:-}" ] && [ -x "$ROOT/../shared/servers/bin/broker" ]; then
    CDC_TEST_SERVERS=$(cd "$ROOT/../shared/servers" && pwd)
    export CDC_TEST_SERVERS
  fi
  if [ -n "${CDC_TEST_SERVERS:-}" ]; then
    command -v java >/dev/null || die "the broker in CDC_TEST_SERVERS=$CDC_TEST_SERVERS needs Java 17 (Debian, Ubuntu: apt-get install default-jre-headless)"
    say "Kafka: a real broker, started by the tests that need one"
  else
    say "Kafka: librdkafka's mock broker (no real one here)"
  fi
fi

if [ -z "${CDC_TEST_CASES:-}" ] && [ -d "$ROOT/../shared/cases/sql" ]; then
  CDC_TEST_CASES=$(cd "$ROOT/../shared/cases" && pwd)
  export CDC_TEST_CASES
fi

if [ -z "$skip_build" ]; then
  say "Building ..."
  build "$LOCAL/build.log" "$ROOT/CdcOrleans.sln"
fi

passed=0 failed=0 skipped=0 problems=() skips=()

# count SUITE RESULTS CODE: adds up what a test program wrote; a program that crashed or ran no test is a failure.
count() {
  local suite=$1 results=$2 code=$3 head total=0
  if [ -s "$results" ]; then
    # One element a line, names as people read them; the attributes of <assembly> hold the sums.
    tr '\n' ' ' <"$results" | sed -E 's/<(assembly|collection|test) /\n<\1 /g; s/\\?&quot;/'"'"'/g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' >"$results.lines"
    head=$(grep '^<assembly ' "$results.lines" | head -1)
    attribute() { sed -E "s/.* $1=\"([0-9]+)\".*/\1/" <<<"$head"; }
    passed=$((passed + $(attribute passed))) failed=$((failed + $(attribute failed))) skipped=$((skipped + $(attribute skipped)))
    total=$(($(attribute passed) + $(attribute failed)))
    if [ "$(attribute errors)" != 0 ]; then
      failed=$((failed + 1))
      problems+=("$suite: errors outside tests; see above")
    fi
    while IFS= read -r line; do problems+=("$suite: $line"); done \
      < <(sed -nE 's/^<test .* name="([^"]*)".* result="Fail".*/\1/p' "$results.lines")
    while IFS= read -r line; do skips+=("$suite: $line"); done \
      < <(sed -nE 's/^<test .* name="([^"]*)".* result="Skip".*<reason>(<!\[CDATA\[)?([^]<]*).*/\1: \3/p' "$results.lines")
    if [ "$total" = 0 ]; then
      failed=$((failed + 1))
      problems+=("$suite: no test was executed")
    elif [ "$code" != 0 ] && [ "$(attribute failed)" = 0 ] && [ "$(attribute errors)" = 0 ]; then
      failed=$((failed + 1))
      problems+=("$suite: the test program ended with code $code though no test failed")
    fi
  else
    failed=$((failed + 1))
    problems+=("$suite: the test program crashed (code $code) before it wrote results")
  fi
}

run_suite() { # run_suite SUITE FOLDER [OPTION ...]
  local suite=$1 program="$ROOT/tests/$2/bin/Release/net10.0/CdcOrleans.$2" results="$LOCAL/$1.xml" code=0
  [ -x "$program" ] || { failed=$((failed + 1)); problems+=("$suite: not built: $program"); return 0; }
  shift 2
  foreground "$program" -noColor -result-xml "$results" "$@" ${options[@]+"${options[@]}"} || code=$?
  count "$suite" "$results" "$code"
}

run_shop() {
  local code=0
  foreground "$ROOT/run.sh" --duration 10s || code=$?
  if [ "$code" = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    problems+=("shop: ./run.sh --duration 10s ended with code $code")
    tail -20 "$ROOT/.local/silo.log" 2>/dev/null || true
  fi
}

for suite in "${suites[@]}"; do
  say "" "== $suite"
  case $suite in
    unit) run_suite unit Unit ;;
    integration) run_suite integration Integration ;;
    cluster) run_suite cluster Cluster ;;
    always)
      CDC_TEST_ACTIVATION=always run_suite always Integration -class '*PropertyTests' -class '*.Grains.*' ;;
    always-cluster)
      CDC_TEST_ACTIVATION=always run_suite always-cluster Cluster -class '*FailureTests' -class '*StreamingTests' ;;
    conformance) run_suite conformance Conformance ;;
    shop) run_shop ;;
  esac
done

say ""
[ ${#skips[@]} -eq 0 ] || say "Skipped:" "${skips[@]/#/  }" ""
[ ${#problems[@]} -eq 0 ] || say "Failed:" "${problems[@]/#/  }" ""
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
