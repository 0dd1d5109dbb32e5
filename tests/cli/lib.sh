# Shared by the tests in this folder: each is `bash NAME_test.sh SKYLINE`, in a folder of its own that is
# removed at the end, together with every process that it started.
set -u
skyline=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
pids=()
failures=0
cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export HOME=$work XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache XDG_RUNTIME_DIR=$work/run
export NO_COLOR=1 LC_ALL=C.UTF-8 COLUMNS=80 SKYLINE_KEYS=$work/keys
unset SKYLINE_DB SKYLINE_CONNECT SKYLINE_PLUGINS SKYLINE_LOG
mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"

fail() {
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}
# run CODE ARGS...: runs skyline, checks its exit code, leaves the output in $out and $err.
run() {
    local want=$1 got
    shift
    "$skyline" "$@" >"$work/out.txt" 2>"$work/err.txt" </dev/null
    got=$?
    out=$(cat "$work/out.txt")
    err=$(cat "$work/err.txt")
    if [ "$got" -ne "$want" ]; then
        fail "skyline $* exited with $got, not $want"
        sed 's/^/    /' "$work/err.txt" >&2
        return 1
    fi
}
# has TEXT PATTERN: the text holds the (extended) pattern.
has() {
    grep -Eq -- "$2" <<<"$1" || { fail "no '$2' in:"; sed 's/^/    /' <<<"$1" >&2; }
}
lacks() {
    if grep -Eq -- "$2" <<<"$1"; then fail "unwanted '$2' in:"; sed 's/^/    /' <<<"$1" >&2; fi
}
same() {
    [ "$1" = "$2" ] || fail "expected '$2', found '$1'"
}
# json TEXT EXPRESSION: evaluates a Python expression on the parsed text, as d.
json() {
    python3 -c 'import json,sys; d=json.loads(sys.argv[1]); print(eval(sys.argv[2]))' "$1" "$2" ||
        fail "no JSON, or no $2: $1"
}
# sql FILE QUERY: through Python's SQLite, which shares no code with the program.
sql() {
    python3 - "$1" "$2" <<'PY'
import sqlite3, sys
for row in sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True).execute(sys.argv[2]):
    print("|".join("" if x is None else str(x) for x in row))
PY
}
# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { fail "gave up waiting for: $*"; return 1; }
        sleep 0.05
    done
}
finish() {
    [ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
    exit 0
}
noop_sweep() { # NAME POINTS [EXTRA LINES]
    cat >"$1.yaml" <<YAML
name: $1
job: noop
space:
  x: {from: 0, to: $(($2 - 1)), step: 1}
objectives: [{y: min}]
${3:-}
YAML
}
slow_sweep() { # NAME POINTS SLEEP_US
    cat >"$1.yaml" <<YAML
name: $1
job: fault
space:
  x: {from: 0, to: $(($2 - 1)), step: 1}
  sleep_us: $3
objectives: [{y: min}]
YAML
}
children() { # of a process, without procps
    cat "/proc/$1/task/$1/children" 2>/dev/null
}
# coordinator DB [OPTIONS...]: starts one on any free port; sets $endpoint and $coordinator.
coordinator() {
    "$skyline" coordinator --db "$1" --listen tcp://127.0.0.1:0 "${@:2}" >listen.txt 2>>coordinator.log &
    coordinator=$!
    pids+=("$coordinator")
    wait_for 10 grep -q tcp:// listen.txt
    endpoint=$(awk '{print $NF}' listen.txt)
    export SKYLINE_CONNECT=$endpoint
}
worker() { # [OPTIONS...]; sets $worker
    "$skyline" worker "$@" 2>>worker.log &
    worker=$!
    pids+=("$worker")
}
