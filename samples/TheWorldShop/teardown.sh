#!/usr/bin/env bash
# Removes what setup.sh and a pipeline made: slot, publication, both databases, role, the files of the file sink, and the
# topics where a Kafka is named. Stop the silo first. Safe to run again.
#   teardown.sh --admin 'Host=127.0.0.1;Username=postgres;Password=…' [--role cdc] [--database theworldshop] [--control cdc]
#               [--files FOLDER] [--kafka HOST:PORT]
# What is not named is taken from the last ./run.sh.
. "$(dirname "${BASH_SOURCE[0]}")/scripts.sh"
options "admin role database control files kafka" "$@"
[ -n "$admin" ] || die "--admin is missing, and there was no ./run.sh to take it from (see --help)"
theworldshop teardown --admin "$admin" --role "$role" --database "$database" --control "$control" \
  ${files:+--files "$files"} ${kafka:+--kafka "$kafka"}
