# `skyline run` from start to end: recorded once, goes on, refuses edits, tells failures.
. "$(dirname "$0")/lib.sh"

noop_sweep a 1000 'repeats: 2'
run 0 run a.yaml --db t.db -j 2
has "$out" 'done'
lacks "$out$err" $'\033'
lacks "$err" $'\r'
same "$(sql t.db 'SELECT count(*), count(DISTINCT trial), sum(y) FROM "a"')" "2000|2000|999000.0"
same "$(sql t.db 'PRAGMA integrity_check')" ok
same "$(ls run)" "" # the private folder is gone

# The same command again: nothing runs twice.
before=$(sql t.db 'SELECT max(seq) FROM sky_commits' 2>/dev/null)
run 0 run a.yaml --db t.db --json
same "$(json "$out" '(d["state"], d["recorded"], d["recorded_now"], d["failed"])')" "('done', 2000, 0, 0)"
same "$(sql t.db 'SELECT max(seq) FROM sky_commits' 2>/dev/null)" "$before"

# More repeats go on; a changed space is refused, with the difference; another name is fine.
sed -i 's/repeats: 2/repeats: 3/' a.yaml
run 0 run a.yaml --db t.db --json && same "$(json "$out" 'd["recorded_now"]')" 1000
# Fewer repeats ask for less than there is; nothing runs, nothing goes.
run 0 run a.yaml --db t.db --set repeats=1 --json
same "$(json "$out" '(d["positions"], d["recorded"], d["recorded_now"])')" "(1000, 3000, 0)"
run 0 run a.yaml --db t.db --set repeats=1 && has "$out" '3,000 trials.*asks for 1,000, 0 of them now'
run 2 run a.yaml --db t.db --set x=[1,2,3]
has "$err" 'x' && has "$err" '\-\-name'
run 0 run a.yaml --db t.db --set x=[1,2,3] --name b --json
same "$(json "$out" 'd["recorded"]')" 9
run 2 run a.yaml --db t.db --name sky_x

# A second sweep of the same name in another file, with another job.
printf 'name: a\njob: fault\nspace: {x: [1, 2]}\n' >other.yaml
run 2 run other.yaml --db t.db && has "$err" '\-\-name'

# Where a trial fails, the exit code says so, and the store knows why.
printf 'name: bad\njob: fault\nspace: {x: {from: 0, to: 199, step: 1}, fail: 0.05}\nlimits: {attempts: 2}\n' >bad.yaml
run 1 run bad.yaml --db t.db && has "$out" 'failed'
failed=$("$skyline" run bad.yaml --db t.db --json 2>/dev/null)
same "$(json "$failed" 'd["failed"] > 0 and d["failed"] + d["recorded"] == 200')" True
run 0 failures bad --db t.db && has "$out" 'error'
run 0 failures bad --db t.db --json && same "$(json "$out" 'd[0]["kind"]')" error
run 0 failures bad --db t.db -n 2 --format csv && same "$(wc -l <<<"$out")" 3

# A crash costs one executor; the rest is recorded.
printf 'name: crash\njob: fault\nspace: {x: {from: 0, to: 49, step: 1}, crash: 0.1}\nlimits: {attempts: 1}\n' >crash.yaml
run 1 run crash.yaml --db t.db --json
same "$(json "$out" 'd["failed"] > 0 and d["failed"] + d["recorded"] == 50')" True

# Everything fails: it pauses and says why.
printf 'name: never\njob: fault\nspace: {x: {from: 0, to: 999, step: 1}, fail: 1}\nlimits: {attempts: 1}\n' >never.yaml
run 1 run never.yaml --db t.db && has "$err" 'fail'

# Results of a program of the user's.
printf 'name: cmd\njob: command\ncommand: [/bin/true]\nspace: {x: [1, 2, 3]}\n' >cmd.yaml
run 0 run cmd.yaml --db t.db && same "$(sql t.db 'SELECT count(*) FROM "cmd"')" 3

run 2 run cmd.yaml --db t.db --name none --set 'command=[echo, "{xx}"]' && has "$err" 'did you mean \{x\}'
sed /command:/d cmd.yaml >nocmd.yaml
run 2 run nocmd.yaml --db t.db --name none && has "$err" 'no program'
run 0 sweeps --db t.db && lacks "$out" '^none '
# Tags of the file join those in the store.
run 0 run a.yaml --db t.db --name tagged --set x=[1] --set 'tags=[paper, fig 3]' && run 0 tag tagged --db t.db
same "$out" $'fig 3\npaper'
run 0 tag tagged mine --db t.db && run 0 run a.yaml --db t.db --name tagged --set x=[1] --set 'tags=[more]'
run 0 tag tagged --db t.db && same "$out" $'fig 3\nmine\nmore\npaper'
run 2 run a.yaml --db t.db --name tagged --set x=[1] --set 'tags=[""]' && has "$err" 'tags: '
# A `where` that rejects everything is said to.
run 1 run a.yaml --db t.db --name void --set 'where=[x < 0]' && has "$err" 'rejects every point'

# Wrong files and folders.
echo "no database at all, but long enough to be looked at as one by SQLite's header check" >text.db
run 1 run a.yaml --db text.db && has "$err" 'text.db'
run 1 run a.yaml --db no/such/folder/x.db
run 2 run no-such-file.yaml --db t.db
# A store that another process has is not shared.
slow_sweep slow 400 20000
"$skyline" run slow.yaml --db busy.db -j 2 --progress none >slow.txt 2>&1 &
pids+=($!)
wait_for 10 test -s busy.db
sleep 0.3
run 1 run a.yaml --db busy.db && has "$err" '[0-9]+'
wait $! || fail "the first run did not end well: $(cat slow.txt)"

# Start to exit of one point: under 100 ms on an idle machine; three tries and some slack on a busy one.
noop_sweep one 1
best=100000
for i in 1 2 3 4 5; do
    begin=$(date +%s%N)
    run 0 run one.yaml --db "one$i.db" --progress none
    took=$((($(date +%s%N) - begin) / 1000000))
    [ "$took" -lt "$best" ] && best=$took
done
echo "one point: $best ms"
[ "$best" -lt "${SKYLINE_TEST_START_MS:-400}" ] || fail "one point took $best ms"
finish
