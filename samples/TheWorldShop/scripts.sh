# Sourced by the scripts beside it: options, defaults from the last ./run.sh, the program.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
. "$ROOT/scripts/common.sh"

admin='' connection='' gateway='' kafka='' files='' role=cdc database=theworldshop control=cdc
# What ./run.sh left behind says where its servers are.
if [ -f "$ROOT/.local/shop.env" ]; then
  . "$ROOT/.local/shop.env"
  admin=$SHOP_ADMIN connection=$SHOP_CONNECTION gateway=$SHOP_GATEWAY kafka=$SHOP_KAFKA files=$SHOP_FILES
fi

# options ALLOWED ARGS...: sets the variables of the allowed options; "help" prints the script's head.
options() {
  local allowed=" $1 " name
  shift
  while [ $# -gt 0 ]; do
    name=${1#--}
    if [ "$1" = --help ] || [ "$1" = -h ]; then sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"; exit 0; fi
    [[ $1 == --* && $allowed == *" $name "* ]] || die "unknown option '$1' (see --help)"
    [ $# -ge 2 ] || die "$1 needs a value (see --help)"
    printf -v "$name" '%s' "$2"
    shift 2
  done
}

trap 'end_process "$pid_foreground" "" 10' EXIT
trap 'exit 130' INT TERM

theworldshop() {
  local program=$HERE/Workload/bin/Release/net10.0/theworldshop.dll
  if [ ! -f "$program" ]; then
    need_dotnet
    mkdir -p "$ROOT/.local"
    MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false build "$ROOT/.local/build.log" "$HERE/Workload/Workload.csproj"
  fi
  foreground dotnet "$program" "$@"
}
