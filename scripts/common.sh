# Sourced by run.sh, test.sh and the sample's scripts: words to the user, ports, processes.

# say LINE...
say() { printf '%s\n' "$@"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

is_root() { [ "$(id -u)" = 0 ]; }

# port_taken PORT: somebody listens there on loopback.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# reachable HOST PORT: somebody answers there within three seconds.
reachable() { timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null; }

# free_port: a port on loopback that nobody listened at a moment ago.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    port_taken "$port" || { printf '%s\n' "$port"; return 0; }
  done
}

# http_status PORT PATH: the status code that a server on loopback answers with; nothing when it doesn't.
http_status() {
  timeout 5 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 0
    printf "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n" "$1" "$0" >&3
    read -r _ code _ <&3 && printf "%s\n" "$code"' "$1" "$2" 2>/dev/null || true
}

# running PID [MARK]: the process runs and, as process ids are used again, carries the mark in its command line.
running() {
  [ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 1
  [ -z "${2:-}" ] || [[ "$({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null)" == *"$2"* ]]
}

# foreground COMMAND...: waits for it and returns its code; a signal to the script is taken at once, and the script's
# clean-up ends the command by $pid_foreground.
pid_foreground=''
foreground() {
  local code=0
  setsid "$@" </dev/null &
  pid_foreground=$!
  wait "$pid_foreground" || code=$?
  pid_foreground=''
  return "$code"
}

# end_process PID MARK SECONDS: asks it (MARK may be empty for a child of one's own) to end, waits, and kills it when it takes longer.
end_process() {
  local pid=$1 mark=$2 tenths=$(($3 * 10))
  running "$pid" "$mark" || return 0
  kill -TERM "$pid" 2>/dev/null || true
  while running "$pid" "$mark"; do
    if [ "$tenths" -le 0 ]; then
      say "Process $pid did not end within $3 s: killing it." >&2
      kill -KILL "$pid" 2>/dev/null || true
      return 0
    fi
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

need_dotnet() {
  command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: install it and make sure that 'dotnet' is on the PATH."
  dotnet --list-sdks 2>/dev/null | grep -q '^1[0-9]\.' \
    || die "the .NET SDK 10 is missing; there is only: $(dotnet --list-sdks 2>/dev/null | cut -d' ' -f1 | tr '\n' ' ')"
}

# build LOG PROJECT...: Release builds, quiet unless they fail.
build() {
  local log=$1 project
  shift
  : >"$log"
  for project in "$@"; do
    if ! foreground dotnet build "$project" -c Release --nologo -v q >>"$log" 2>&1; then
      grep -E 'error|warn' "$log" | sort -u | head -20 >&2
      tail -5 "$log" >&2
      die "the build of $project failed; all of it: $log"
    fi
  done
}
