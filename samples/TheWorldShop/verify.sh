#!/usr/bin/env bash
# Says of each part whether it is ready, one line each: PostgreSQL and its wal_level, the seeded shop, Kafka (where one is
# named), gateway, silo. Exit code 0 when all are.
#   verify.sh [--connection 'Host=127.0.0.1;Database=theworldshop;Username=cdc'] [--gateway http://127.0.0.1:8080] [--kafka HOST:PORT]
# What is not named is taken from the last ./run.sh.
# (Whether what was delivered is right is another question: 'theworldshop verify', see README.md here.)
. "$(dirname "${BASH_SOURCE[0]}")/scripts.sh"
options "connection gateway kafka" "$@"
[ -n "$connection" ] || die "--connection is missing, and there was no ./run.sh to take it from (see --help)"
theworldshop ready --connection "$connection" --gateway "${gateway:-http://127.0.0.1:8080}" ${kafka:+--kafka "$kafka"}
