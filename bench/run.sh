#!/usr/bin/env bash
# Measures CdcOrleans beside pg_recvlogical and Debezium: builds in Release, then runs bench/EndToEnd, which starts its own PostgreSQL,
# Kafka and Kafka Connect in a temporary folder and ends them. See docs/benchmarks.md.
#   KAFKA_HOME=…/kafka bench/run.sh [--quick] [--only product debezium recvlogical] [--workload …] [--json FILE]; --help lists all
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for project in src/Silo bench/EndToEnd; do
  dotnet build "$root/$project" -c Release -v q --nologo >&2
done
exec dotnet "$root/bench/EndToEnd/bin/Release/net10.0/CdcOrleans.Bench.EndToEnd.dll" "$@"
