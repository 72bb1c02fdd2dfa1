#!/usr/bin/env bash
# Creates the shop on a PostgreSQL server: a role that may replicate, the shop's database with its tables, the control
# database; then seeds the shop. Safe to run again.
#   setup.sh --admin 'Host=127.0.0.1;Username=postgres;Password=…' [--role cdc] [--database theworldshop] [--control cdc]
#            [--customers 1000] [--products 500]
# --admin is an Npgsql connection string of a role that may create roles and databases. The new role's password is taken
# from CDC_SHOP_PASSWORD; without it the role gets none. Without --admin: the server of the last ./run.sh.
. "$(dirname "${BASH_SOURCE[0]}")/scripts.sh"
customers=1000 products=500
options "admin role database control customers products" "$@"
[ -n "$admin" ] || die "--admin is missing (see --help)"
theworldshop setup --admin "$admin" --role "$role" --database "$database" --control "$control"
# Seeding as the one who set it up: the new role may not be able to log in from here.
theworldshop seed --connection "$admin;Database=$database" --customers "$customers" --products "$products"
