#!/usr/bin/env bash
# The whole program with all its threads (sockets' I/O, the ZAP handler), from a plain main: what Criterion
# cannot run under ThreadSanitizer. Any report of any process is a failure. Also runs unsanitized.
#   threads_test.sh SKYLINE
set -euo pipefail
skyline=$(realpath "$1")
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:log_path=$dir/report" SKYLINE_KEYS=$dir/keys NO_COLOR=1
cd "$dir"
printf 'name: threads\njob: noop\nspace: {x: {from: 1, to: 20000, step: 1}}\n' >threads.yaml
printf 'name: fails\njob: fault\nspace: {x: {from: 1, to: 200, step: 1}, crash: 0.02, fail: 0.02}\nlimits: {attempts: 1}\n' >fails.yaml

"$skyline" run threads.yaml --db run.db -j 2 --progress plain
"$skyline" run fails.yaml --db run.db -j 2 --progress none || [ $? = 1 ]

"$skyline" coordinator --db tcp.db --listen tcp://127.0.0.1:0 >endpoint &
coordinator=$!
for _ in $(seq 100); do [ -s endpoint ] && break; sleep 0.1; done
endpoint=$(grep -o 'tcp://[0-9.:]*' endpoint | head -n 1)
"$skyline" worker --connect "$endpoint" -j 2 &
"$skyline" submit threads.yaml --connect "$endpoint" --wait
"$skyline" status --connect "$endpoint"
kill -TERM %2 && wait %2 || true
kill -TERM "$coordinator" && wait "$coordinator" || true

for db in run.db tcp.db; do
  [ "$("$skyline" sql --db $db --format csv 'SELECT count(*) FROM threads' | tail -n 1 | tr -d '\r')" = 20000 ]
done
reports=$(cat "$dir"/report* 2>/dev/null || true)
[ -z "$reports" ] || { echo "$reports"; echo "threads_test: ThreadSanitizer reported" >&2; exit 1; }
echo "threads_test: no reports"
