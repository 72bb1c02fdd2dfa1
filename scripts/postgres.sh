# Sourced after common.sh: finds or installs PostgreSQL's server programs, and runs a private server.
# Never touches a server that is there already.

POSTGRES_OLDEST=14

# find_postgres: prints the folder with initdb and pg_ctl; fails when there is none that is new enough.
find_postgres() {
  local bin
  for bin in "${CDC_POSTGRES_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV) \
    "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")"; do
    [ -n "$bin" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && [ -x "$bin/postgres" ] || continue
    [ "$("$bin/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')" -ge "$POSTGRES_OLDEST" ] || continue
    printf '%s\n' "$bin"
    return 0
  done
  return 1
}

# install_postgres: through apt-get, as root, without starting a server.
install_postgres() {
  local remedy="Install it (Debian, Ubuntu: apt-get install postgresql) or set CDC_POSTGRES_BIN to the folder with initdb and pg_ctl."
  [ -z "${CDC_POSTGRES_BIN:-}" ] || die "CDC_POSTGRES_BIN=$CDC_POSTGRES_BIN holds no PostgreSQL $POSTGRES_OLDEST or newer (initdb, pg_ctl, postgres)."
  [ -z "${CDC_NO_INSTALL:-}" ] || die "PostgreSQL $POSTGRES_OLDEST or newer is missing, and CDC_NO_INSTALL forbids installing it. $remedy"
  is_root && command -v apt-get >/dev/null || die "PostgreSQL $POSTGRES_OLDEST or newer is missing. $remedy"
  say "Installing PostgreSQL's server programs with apt-get ..." >&2
  local log drop_in=/etc/postgresql-common/createcluster.d/cdc-private.conf
  log=$(mktemp)
  # The package would create and start a server of its own: tell it not to, for this installation only.
  mkdir -p "$(dirname "$drop_in")"
  printf 'create_main_cluster = false\n' >"$drop_in"
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >"$log" 2>&1; then
    rm -f "$drop_in"
    tail -5 "$log" >&2
    die "apt-get could not install postgresql; all it said: $log"
  fi
  rm -f "$drop_in" "$log"
  rmdir "$(dirname "$drop_in")" 2>/dev/null || true
}

# need_postgres: sets POSTGRES_BIN.
need_postgres() {
  POSTGRES_BIN=$(find_postgres) && return 0
  install_postgres
  POSTGRES_BIN=$(find_postgres) || die "PostgreSQL was installed, but holds no initdb of version $POSTGRES_OLDEST or newer."
}

# PostgreSQL refuses to run as root: then its user does.
postgres_owner() {
  if ! is_root; then id -un
  elif id postgres >/dev/null 2>&1; then echo postgres
  else echo nobody; fi
}

as_owner() {
  local owner
  owner=$(postgres_owner)
  if [ "$owner" = "$(id -un)" ]; then (cd / && "$@")
  elif command -v setpriv >/dev/null; then (cd / && setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups "$@")
  else (cd / && runuser -u "$owner" -- "$@"); fi
}

# postgres_folder WANTED: prints WANTED where the server's user can use it, else a folder under /var/tmp that is WANTED's own.
# Either is empty and theirs afterwards.
postgres_folder() {
  local wanted=$1 folder owner
  owner=$(postgres_owner)
  for folder in "$wanted" "/var/tmp/cdc-postgres-$(id -u)-$(printf '%s' "$wanted" | cksum | cut -d' ' -f1)"; do
    remove_postgres "$folder"
    mkdir -p "$(dirname "$folder")"
    (umask 077 && mkdir "$folder" && : >"$folder/cdc-private") || continue
    if [ "$owner" != "$(id -un)" ]; then chown -R "$owner" "$folder"; fi
    if as_owner test -w "$folder" 2>/dev/null; then
      [ "$folder" = "$wanted" ] || say "User '$owner' cannot use $wanted: PostgreSQL's data goes to $folder." >&2
      printf '%s\n' "$folder"
      return 0
    fi
    rm -rf "$folder"
  done
  die "no folder that user '$owner' can use: neither $wanted nor under /var/tmp."
}

# start_postgres FOLDER PORT: a new server in a folder from postgres_folder; user postgres, no password, loopback only.
start_postgres() {
  local folder=$1 port=$2
  as_owner "$POSTGRES_BIN/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null 2>"$folder/initdb.log" \
    || { tail -3 "$folder/initdb.log" >&2; die "initdb failed."; }
  # A throwaway server: it may forget everything when the machine crashes, and is the faster for it.
  cat >>"$folder/data/postgresql.conf" <<CONF
port=$port
listen_addresses='127.0.0.1'
unix_socket_directories=''
wal_level=logical
max_wal_senders=10
max_replication_slots=10
fsync=off
timezone='UTC'
CONF
  as_owner "$POSTGRES_BIN/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 start >/dev/null 2>&1 </dev/null \
    || { as_owner tail -3 "$folder/log" >&2; die "PostgreSQL did not start; its log: $folder/log"; }
}

# stop_postgres FOLDER: stops the private server in it, if one runs.
stop_postgres() {
  [ -f "$1/cdc-private" ] && [ -f "$1/data/postmaster.pid" ] || return 0
  as_owner "$POSTGRES_BIN/pg_ctl" -D "$1/data" -m fast -w -t 30 stop >/dev/null 2>&1 && return 0
  # It may have crashed and left the file; if not, it is told once more not to wait for anybody.
  running "$(head -1 "$1/data/postmaster.pid" 2>/dev/null)" "$1/data" || return 0
  as_owner "$POSTGRES_BIN/pg_ctl" -D "$1/data" -m immediate -w -t 30 stop >/dev/null 2>&1 || say "PostgreSQL in $1 did not stop." >&2
}

# remove_postgres FOLDER: stops and deletes what postgres_folder and start_postgres made; anything else is left alone.
remove_postgres() {
  [ -e "$1" ] || return 0
  [ ! -L "$1" ] && [ -f "$1/cdc-private" ] || die "$1 exists and is not a private PostgreSQL of ours: move it away."
  stop_postgres "$1"
  rm -rf "$1"
}
