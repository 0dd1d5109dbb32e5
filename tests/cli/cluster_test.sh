# Coordinator, worker and clients as processes of their own, over TCP with CURVE.
. "$(dirname "$0")/lib.sh"
state() { json "$("$skyline" status "$1" --json)" 'd["sweeps"][0]["state"]'; }
is() { [ "$(state "$1" 2>/dev/null)" = "$2" ]; }

coordinator t.db
worker -j 2
noop_sweep a 5000
run 0 submit a.yaml --wait && has "$out" 'a is done'
same "$(sql t.db 'SELECT count(*), sum(y) FROM "a"')" "5000|12497500.0"
run 0 status && has "$out" '^a +done +100%' && has "$out" ' here '
run 0 status --json && same "$(json "$out" 'd["sweeps"][0]["recorded"]')" 5000
same "$(json "$out" 'len(d["workers"])')" 1
run 1 status nosuch && has "$err" 'nosuch'

# The same name again goes on; another space under the name is refused.
run 0 submit a.yaml
run 1 submit a.yaml --set x=[1,2] && has "$err" '\-\-name'
run 2 submit a.yaml --set x=[] # told before anything is sent

# Pause, resume, priority, cancel, retry.
slow_sweep s 2000 5000
run 0 submit s.yaml
run 0 pause s && wait_for 5 is s paused
run 0 priority s 7
run 0 status s --json && same "$(json "$out" 'd["sweeps"][0]["priority"]')" 7
run 2 priority s high
run 0 resume s && wait_for 5 is s running
run 0 cancel s && wait_for 5 is s cancelled
run 0 resume s && wait_for 5 is s running
run 0 cancel s && wait_for 5 is s cancelled
run 1 pause nosuch
printf 'name: f\njob: fault\nspace: {x: {from: 0, to: 99, step: 1}, fail: 0.2}\nlimits: {attempts: 1}\n' >f.yaml
run 1 submit f.yaml --wait
run 0 retry f --kind error --json
run 0 retry f --kind crash

# A second coordinator on the store is refused, and told which process has it.
run 1 coordinator --db t.db --listen tcp://127.0.0.1:0 && has "$err" "$coordinator"
# A port that is taken.
run 1 coordinator --db other.db --listen "$endpoint" && has "$err" 'in use|[Aa]ddress'

# kill -9 of the coordinator: started again on its port, the worker comes back by itself.
slow_sweep k 1000 3000
run 0 submit k.yaml
sleep 0.5
kill -9 "$coordinator"
wait "$coordinator" 2>/dev/null
"$skyline" coordinator --db t.db --listen "$endpoint" >listen.txt 2>>coordinator.log &
coordinator=$!
pids+=("$coordinator")
wait_for 30 is k done
same "$(sql t.db 'SELECT count(*), count(DISTINCT trial), sum(y) FROM "k"')" "1000|1000|1000000.0"

# Who is let in. A stranger has the coordinator's public key, but nobody authorized his.
mkdir stranger && chmod 700 stranger && cp keys/coordinator.pub stranger/
run 1 status --keys stranger --timeout 3s && has "$err" 'key|refused|authori'
run 0 keys show --keys stranger --json
key=$(json "$out" 'd["client"]')
run 0 keys authorize guest "$key" --roles read && has "$out" 'guest'
run 1 keys authorize guest "$key"
run 0 keys new spare
run 0 keys authorize friend stranger/client.pub --keys spare
run 0 keys show --keys spare --json && has "$out" "friend"
run 2 keys authorize foe stranger/client.key --keys spare && has "$err" 'secret'
run 2 keys authorize guest tooshort
run 2 keys authorize guest2 "$key" --roles king
kill -TERM "$coordinator"
wait "$coordinator"
same $? 0
"$skyline" coordinator --db t.db --listen "$endpoint" >listen.txt 2>>coordinator.log &
coordinator=$!
pids+=("$coordinator")
wait_for 10 "$skyline" status --timeout 1s
run 0 status --keys stranger
run 1 pause a --keys stranger && has "$err" 'may not'

# Nobody there.
run 1 status --connect tcp://127.0.0.1:1 --timeout 300ms && has "$err" '127.0.0.1:1'
run 1 status --connect nonsense
# Keys that others may read are refused.
chmod 644 keys/client.key
run 1 status && has "$err" 'client.key'
chmod 600 keys/client.key

run 0 keys new fresh && run 1 keys new fresh
same "$(stat -c %a fresh/client.key)" 600

run 0 shutdown
wait "$coordinator"
same $? 0
kill -TERM "$worker"
wait "$worker"
same $? 0
same "$(sql t.db 'PRAGMA integrity_check')" ok
finish
