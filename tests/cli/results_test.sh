# `skyline results`, `sql`, `sweeps`, `failures`: rows in each format, and only reading.
. "$(dirname "$0")/lib.sh"

cat >g.yaml <<'YAML'
name: g-1
job: gemm
space:
  m: [64, 128, 256]
  rows: [32, 64]
  dataflow: [ws, os]
derived: {per_mac: "1.0 * cycles / macs"}
constraints: ["utilization > 0.001"]
objectives: [{cycles: min}, {utilization: max}]
YAML
run 0 run g.yaml --db t.db
export SKYLINE_DB=t.db

run 0 results g-1
same "$(wc -l <<<"$out")" 14
has "$out" '^trial +m +rows +dataflow +cycles +utilization +macs +per_mac'
run 0 results g-1 --format json
same "$(json "$out" 'len(d)')" 12
same "$(json "$out" '[r["trial"] for r in d] == list(range(12))')" True
same "$(json "$out" 'all(abs(r["per_mac"] - r["cycles"] / r["macs"]) < 1e-15 for r in d)')" True
run 0 results g-1 --format jsonl
same "$(python3 -c 'import json,sys; print(sum(json.loads(l)["m"] for l in sys.stdin))' <<<"$out")" 1792
run 0 results g-1 --format csv
same "$(python3 -c 'import csv,sys; print([r["dataflow"] for r in csv.DictReader(sys.stdin)][:3])' <"$work/out.txt")" \
    "['ws', 'os', 'ws']"
run 0 results g-1 --where "m = 128 AND dataflow = 'ws'" --columns rows,m --format csv
same "$out" $'rows,m\n32,128\n64,128'
run 0 results g-1 --order-by "m DESC, rows" --limit 2 --columns trial,m,rows --format jsonl
same "$(python3 -c 'import json,sys; print([json.loads(l) for l in sys.stdin])' <<<"$out")" \
    "[{'trial': 8, 'm': 256, 'rows': 32}, {'trial': 9, 'm': 256, 'rows': 32}]"
run 0 results g-1 --times --json && same "$(json "$out" '[k for k in sorted(d[0]) if k[:4] == "sky_"]')" \
    "['sky_env', 'sky_feasible', 'sky_wall_s']"
run 0 results g-1 --limit 0 --format jsonl && same "$(wc -l <<<"$out")" 12
run 2 results g-1 --where "mm = 1" && has "$err" 'mm'
run 2 results g-1 --where "1) OR (1" || fail "an expression broke out of its parentheses"
run 2 results g-1 --columns mm && has "$err" "did you mean 'm'"
run 1 results g1 && has "$err" 'g-1'
run 1 results g-1 --db none.db && has "$err" 'none.db'
[ ! -e none.db ] || fail "reading made a file"
"$skyline" results g-1 --format jsonl | head -1 >/dev/null
same "${PIPESTATUS[0]}" 0

run 0 sweeps && has "$out" '^g-1 +gemm +done +12'
run 0 sweeps --names && same "$out" g-1
run 0 sweeps --json && same "$(json "$out" 'd[0]["positions"]')" 12

# sql reads, whatever it is asked.
run 0 sql 'SELECT dataflow, count(*) AS n FROM "g-1" GROUP BY 1 ORDER BY 1' --format json
same "$(json "$out" 'd')" "[{'dataflow': 'os', 'n': 6}, {'dataflow': 'ws', 'n': 6}]"
run 0 sql "SELECT value FROM json_each('[1,2]')" --format csv && same "$out" $'value\n1\n2'
run 0 sql "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT sum(x) FROM c" \
    --format csv && has "$out" '^15'
run 0 sql 'SELECT trial FROM "g-1" ORDER BY 1' -n 2 --format csv && same "$out" $'trial\n0\n1'
run 0 sql 'SELECT trial FROM "g-1"' -n 0 --format csv && same "$(wc -l <<<"$out")" 13
sum=$(cksum <t.db)
for q in 'DELETE FROM "g-1"' 'UPDATE "g-1" SET m = 1' 'DROP TABLE "g-1"' 'PRAGMA user_version = 9' \
    "ATTACH 'x.db' AS x" 'CREATE TABLE t(a)' 'CREATE TEMP TABLE t(a)' 'VACUUM' \
    "VACUUM INTO 'x.db'" 'BEGIN' "SELECT load_extension('x')" 'SELECT 1; DELETE FROM "g-1"' '' 'SELEC 1'; do
    run 2 sql "$q" || fail "sql accepted: $q"
done
same "$(cksum <t.db)" "$sum"
[ ! -e x.db ] || fail "sql made a file"
begin=$(date +%s)
run 1 sql --timeout 300ms "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
has "$err" '300 ms'
[ $(($(date +%s) - begin)) -le 3 ] || fail "the timeout did not end the query"

# Failures, and what the trial wrote.
cat >cmd.yaml <<'YAML'
name: cmd
job: command
command: [/bin/sh, -c, 'echo "to standard error" >&2; exit 3']
space: {x: [1, 2]}
limits: {attempts: 1}
YAML
run 1 run cmd.yaml
run 0 failures cmd --format json && same "$(json "$out" '[(f["trial"], f["kind"]) for f in d]')" \
    "[(0, 'error'), (1, 'error')]"
run 0 failures cmd --log-of 1 && has "$out" 'to standard error'
run 1 failures cmd --log-of 7
finish
