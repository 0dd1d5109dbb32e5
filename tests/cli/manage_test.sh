# `skyline tag`, `delete`, `merge`, `backup`, `verify`.
. "$(dirname "$0")/lib.sh"

noop_sweep a 100
noop_sweep b 50
run 0 run a.yaml --db t.db
run 0 run b.yaml --db t.db
run 0 run a.yaml --db u.db
export SKYLINE_DB=t.db

run 0 verify && same "$out" ok
run 0 tag a paper fig-3
run 0 tag a && same "$out" $'fig-3\npaper'
run 0 tag a fig-3 --remove && run 0 tag a && same "$out" paper
run 1 tag a fig-3 --remove
run 1 tag nosuch x

run 0 backup copy.db
same "$(sql copy.db 'SELECT (SELECT count(*) FROM "a"), (SELECT count(*) FROM "b")')" "100|50"
run 1 backup copy.db && has "$err" 'copy.db'
run 0 backup copy.db --replace
run 0 verify --db copy.db

run 2 delete b && has "$err" '\-\-yes'
run 0 delete b --yes
run 0 sweeps --names && same "$out" a
run 1 delete b --yes
run 0 verify

# One machine's results into another's.
run 0 merge copy.db --json && same "$(json "$out" '(d["copied"], d["rows"])')" "(1, 50)"
run 0 merge u.db --json && same "$(json "$out" '(d["copied"], d["united"], d["rows"])')" "(0, 1, 0)"
same "$(sql t.db 'SELECT count(*) FROM "b"')" 50
run 0 verify
run 0 run b.yaml --json && same "$(json "$out" 'd["recorded_now"]')" 0
noop_sweep a 7
run 0 run a.yaml --db other.db
run 1 merge other.db && has "$err" "a"
run 1 merge none.db
run 1 merge t.db none.db --db all.db && has "$err" 'none.db'
[ ! -e all.db ] || fail "a merge of nothing made a file"
run 0 merge t.db --db all.db --json && same "$(json "$out" 'd["copied"]')" 2

# These commands make no file.
run 1 delete a --yes --db none.db
[ ! -e none.db ] || fail "delete made a file"

# What is broken is told.
python3 - <<'PY'
import sqlite3
c = sqlite3.connect("copy.db")
c.execute('DELETE FROM "a" WHERE trial = 7')
c.commit()
PY
run 1 verify --db copy.db && has "$out" 'a'
finish
