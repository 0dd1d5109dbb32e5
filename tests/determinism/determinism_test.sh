#!/usr/bin/env bash
# The same sweep gives byte-identical exports with 1, 2 and 4 executors, killed and not.
#   determinism_test.sh SKYLINE EXAMPLES
set -euo pipefail
skyline=$(realpath "$1")
examples=$(realpath "$2")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export NO_COLOR=1

# Slow enough to be interrupted, with failures that follow from the seed, in a random order.
cat >mixed.yaml <<'E2'
name: mixed
job: fault
space: {x: {from: 0, to: 799.5, step: 0.5}, sleep_us: 1500, fail: 0.01}
search: {grid: {order: random}}
limits: {attempts: 2}
seed: 11
E2

export_all() { # database, file
  "$skyline" results mixed --db "$1" --limit 0 --format csv >"$2"
  "$skyline" sql --db "$1" --format csv --limit 0 \
    "SELECT position, trial, attempts, kind, reason FROM sky_failures ORDER BY position" >>"$2"
}

for j in 1 2 4; do
  "$skyline" run mixed.yaml --db "$j.db" -j "$j" --progress none >/dev/null || [ $? = 1 ]
  export_all "$j.db" "$j.csv"
  "$skyline" run "$examples/flexsa-resnet50.yaml" --db "$j.db" -j "$j" --progress none >/dev/null
  "$skyline" results flexsa-resnet50 --db "$j.db" --limit 0 --format csv >"flexsa-$j.csv"
done

# The same with deaths: executors, the worker, and in the end the program itself.
deaths=0
while :; do
  "$skyline" run mixed.yaml --db killed.db -j 4 --progress none >/dev/null 2>run.err &
  run=$!
  for _ in 1 2 3; do
    sleep 0.1
    worker=$(cat "/proc/$run/task/$run/children" 2>/dev/null || true)
    executors=$(for w in $worker; do cat "/proc/$w/task/$w/children" 2>/dev/null || true; done)
    for victim in $executors $worker; do
      if [ $((RANDOM % 3)) = 0 ] && kill -9 "$victim" 2>/dev/null; then deaths=$((deaths + 1)); fi
    done
  done
  [ "$deaths" -ge 12 ] || kill -9 "$run" 2>/dev/null || true
  status=0
  wait "$run" 2>/dev/null || status=$?
  [ "$status" -gt 1 ] || break
done
[ "$(sqlite3 killed.db "SELECT state FROM sky_sweeps WHERE name = 'mixed'")" = done ] ||
  { echo "the sweep ended before it was done:" >&2; cat run.err >&2; exit 1; }
export_all killed.db killed.csv

[ "$(wc -l <1.csv)" -gt 1500 ] && grep -q error 1.csv # the comparison is of something
for other in 2 4 killed; do cmp 1.csv "$other.csv"; done
for other in 2 4; do cmp flexsa-1.csv "flexsa-$other.csv"; done
echo "determinism_test: identical with 1, 2, 4 executors, and after $deaths deaths"
[ "$deaths" -ge 5 ]
