# `skyline front` against a front computed by an SQL window function, and its pictures.
. "$(dirname "$0")/lib.sh"

cat >g.yaml <<'YAML'
name: g
job: gemm
space:
  m: {from: 16, to: 512, step: 16}
  rows: [16, 32, 64, 128]
  cols: [16, 32, 64]
  dataflow: [ws, os, is]
objectives: [{cycles: min}, {utilization: max}]
YAML
export SKYLINE_DB=t.db
run 0 run g.yaml --json
front=$(json "$out" 'd["front"]')

# A trial is dominated if some trial with fewer cycles has at least its utilization, or one with as many
# cycles has more. In order of cycles, the best utilization so far decides.
oracle=$(sql t.db '
  WITH best AS (SELECT cycles, max(utilization) AS u FROM "g" GROUP BY cycles),
  before AS (SELECT cycles, u, max(u) OVER (ORDER BY cycles ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS p
             FROM best)
  SELECT trial FROM "g" JOIN before USING (cycles)
  WHERE utilization = u AND (p IS NULL OR u > p) ORDER BY trial')
run 0 front g --format json
same "$(json "$out" '"\n".join(str(t) for t in sorted(r["trial"] for r in d))')" "$oracle"
same "$(json "$out" 'len(d)')" "$front"
same "$(json "$out" '[r["cycles"] for r in d] == sorted(r["cycles"] for r in d)')" True
same "$(json "$out" 'list(d[0])[0]')" trial

run 0 front g && has "$out" '^front: [0-9]+ of 1,152 trials'
run 0 front g --format csv && has "$out" '^trial,m,.*,cycles,utilization$'
run 0 front g --format jsonl && same "$(wc -l <<<"$out")" "$front"
run 0 front g -o cycles:min --format jsonl
run 0 front g -o cycles:min,rows:min,cols:min --format json
run 0 front g -o cycles,utilization --format json && same "$(json "$out" 'len(d)')" "$front"
run 2 front g -o cycle:min && has "$err" "did you mean 'cycles'"
run 2 front g -o cycles:least && has "$err" 'neither min nor max'
run 2 front g -o dataflow:min && has "$err" 'text'
run 2 front g -o rows && has "$err" 'rows'
run 0 front g --reference 1e9,0 && has "$out" '^hypervolume: [0-9.e+]+$'
run 2 front g --reference 1 && has "$err" 'expected 2 numbers'

# Repeats: over means, with their spread.
printf 'name: r\njob: noop\nspace: {x: [1, 2, 3]}\nrepeats: 3\nobjectives: [{y: max}]\n' >r.yaml
run 0 run r.yaml
run 0 front r --format json
same "$(json "$out" 'd')" "[{'point': 2, 'repeats': 3, 'x': 3, 'y': 3, 'y_sd': 0}]"
run 0 front r --by trial --format json && same "$(json "$out" '[r["trial"] for r in d]')" "[2, 5, 8]"

# Constraints keep a trial off the front.
sed 's/^name: r/name: c/; $a constraints: ["y < 3"]' r.yaml >c.yaml
run 0 run c.yaml
run 0 front c --format json && same "$(json "$out" '[r["y"] for r in d]')" "[2]"
run 0 front c --infeasible --format json && same "$(json "$out" '[r["y"] for r in d]')" "[3]"
printf 'name: n\njob: noop\nspace: {x: [1, 2, 3]}\n' >n.yaml
run 0 run n.yaml
run 2 front n && has "$err" 'no objectives'
run 0 front n -o y:min

# Pictures.
run 0 front g --plot front.svg && has "$err" 'wrote front.svg'
python3 -c 'import sys, xml.dom.minidom as x; d = x.parse(sys.argv[1]); assert d.documentElement.tagName == "svg"' \
    front.svg || fail "front.svg is no SVG"
has "$(cat front.svg)" 'utilization'
run 0 front g --plot front.png
same "$(head -c 8 front.png | od -An -tx1 | tr -d ' ')" 89504e470d0a1a0a
run 0 front g -o cycles:min,utilization:max,rows:min --plot matrix.svg
run 0 front g --plot - && has "$out" '●'
LC_ALL=C run 0 front g --plot - && lacks "$out" '[^ -~]'
run 2 front g --plot front.gif && has "$err" 'neither .svg nor .png'
run 2 front g --plot - --format json
run 2 front r --plot x.svg && has "$err" '2 to 6 objectives'
run 1 front g --plot no/such/folder/x.svg
finish
