# Ctrl-C, kill and going on: nothing is lost, nothing runs twice.
. "$(dirname "$0")/lib.sh"
recorded() { sql t.db 'SELECT count(*) FROM "i"'; }
some() { [ "$(recorded)" -gt "$1" ]; }
start() {
    "$skyline" run i.yaml --db t.db -j 2 --progress plain >out.txt 2>err.txt &
    pid=$!
    pids+=("$pid")
}
# Long enough that a busy machine still finds it running.
slow_sweep i 2000 10000

start
wait_for 20 some 20
has "$("$skyline" sweeps --db t.db)" '^i +.* running '
kill -INT "$pid"
wait "$pid"
same $? 130
has "$(cat err.txt)" 'goes on where it stopped'
has "$(cat out.txt)" '^i is stopped'
first=$(recorded)
[ "$first" -lt 2000 ] || fail "it was not interrupted: $first"
same "$(ls run)" ""
has "$("$skyline" sweeps --db t.db)" '^i +.* interrupted '

# Two signals end at once.
start
wait_for 20 some "$((first + 20))"
kill -TERM "$pid"
kill -INT "$pid"
begin=$(date +%s)
wait "$pid"
same $? 130
[ $(($(date +%s) - begin)) -le 4 ] || fail "the second signal did not end it"
second=$(recorded)
[ "$second" -ge "$first" ] || fail "results were lost: $first, then $second"

# kill -9: the worker and its executors die with it.
start
wait_for 20 some "$((second + 20))"
worker=$(children "$pid")
kill -9 "$pid"
wait "$pid" 2>/dev/null
gone() { ! kill -0 "$worker" 2>/dev/null; }
wait_for 5 gone
has "$("$skyline" sweeps --db t.db)" '^i +.* interrupted '

# A worker that dies is started again.
start
works() { worker=$(children "$pid") && [ -n "$worker" ]; }
wait_for 20 works
kill -9 $worker
wait "$pid"
same $? 0
has "$(cat err.txt)" 'killed by signal 9'
same "$(sql t.db 'SELECT count(*), count(DISTINCT trial), sum(y) FROM "i"')" "2000|2000|4000000.0"
same "$(sql t.db 'PRAGMA integrity_check')" ok

# Once done, the same command only says so.
start
wait "$pid"
same $? 0
finish
