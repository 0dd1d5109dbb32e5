# `skyline jobs`, `eval` and `check`.
. "$(dirname "$0")/lib.sh"

run 0 jobs && has "$out" '^noop ' && has "$out" '^gemm '
run 0 jobs --names && has "$out" '^noop$'
run 0 jobs --json && same "$(json "$out" 'sorted(d[0])')" \
    "['metrics', 'name', 'open', 'parameters', 'source', 'summary', 'version']"
run 0 jobs gemm && has "$out" '^dataflow +text +ws +ws\|os\|is' && has "$out" '^cycles .*min +exact'
run 0 jobs gemm --json && same "$(json "$out" '[p["name"] for p in d["parameters"]][:3]')" "['m', 'n', 'k']"
run 2 jobs gem && has "$err" 'did you mean gemm\?'

run 0 eval noop x=2.5 --seed 7
same "$(json "$out" 'sorted(d)')" "['job', 'metrics', 'params', 'seed', 'version', 'wall_s']"
same "$(json "$out" 'd["metrics"]["y"]')" 2.5
same "$(json "$out" 'd["seed"]')" 7
run 0 eval noop x=-1e-300 && same "$(json "$out" 'd["metrics"]["y"]')" -1e-300
run 0 eval fault x=3 && same "$(json "$out" 'd["metrics"]["y"]')" 7
run 0 eval gemm m=128 n=128 k=128 rows=128 cols=128
same "$(json "$out" 'd["metrics"]["macs"]')" 2097152
run 0 eval fault x=3 -- && same "$(json "$out" 'd["params"]["crash"]')" 0
run 2 eval noop x=abc && has "$err" "x: 'abc' is not a number"
run 2 eval noop x && has "$err" 'is not key=value'
run 2 eval noop xx=1 && has "$err" "no parameter 'xx' \(did you mean x\?\)"
run 2 eval noop x=1 x=2 && has "$err" 'given twice'
run 2 eval gemm dataflow=sw && has "$err" 'ws'
run 2 eval gemm m=0
run 2 eval gemm m=1.5 && has "$err" 'whole number'
run 2 eval noop x=1 --seed -1 && has "$err" 'seed'
run 2 eval nop && has "$err" 'did you mean noop\?'
run 1 eval fault x=1 fail=1

run 0 eval flexsa network=resnet50 organisation=1G1F width_kept=0.6
same "$(json "$out" 'd["metrics"]["cycles"]')" 16021021
run 0 eval flexsa network=resnet18 --details && has "$out" '^layer,phase,' && lacks "$out" '^layer +phase'
csv=$out
run 0 eval flexsa network=resnet18 --per-layer --format csv && same "$out" "$csv"
run 0 eval flexsa network=resnet18 --per-layer && has "$out" '^layer +phase' && has "$out" '^conv1 +forward '
same "$(wc -l <<<"$out")" "$(wc -l <<<"$csv")"
run 0 eval flexsa network=resnet18 --per-layer --format json
same "$(json "$out" '(len(d), d[0]["layer"], d[0]["macs"])')" "(62, 'conv1', 3776446464)"
run 0 eval flexsa network=resnet18 --details --format jsonl && same "$(wc -l <<<"$out")" 62
run 2 eval flexsa --format csv && has "$err" 'per-layer'
run 1 eval gemm --per-layer && has "$err" 'has no details'
run 2 eval flexsa organisation=2G1F && has "$err" 'core_rows'

noop_sweep small 10
run 0 check small.yaml && has "$out" '^points +10$' && has "$out" '^objectives +min y$'
same "$(grep -c '^ *[0-9]' <<<"$out")" 5
run 0 check small.yaml --points 3 --json
same "$(json "$out" '[p["x"] for p in d["first"]]')" "[0, 1, 2]"
run 0 check small.yaml --set x=[4,5] --json && same "$(json "$out" 'd["points"]')" 2
noop_sweep holes 1000 'where: ["x % 4 = 0"]'
run 0 check holes.yaml && has "$out" 'keeps 250$'
noop_sweep nothing 10 'where: ["x < 0"]'
run 1 check nothing.yaml && has "$err" 'rejects every point'
noop_sweep big 10000000 'where: ["x % 2 = 0"]'
run 0 check big.yaml --json && same "$(json "$out" 'd["kept_is_estimate"]')" True
same "$(json "$out" '4.9e6 < d["kept"] < 5.1e6')" True
cat >memory.yaml <<YAML
name: memory
job: he_conv
space: {log_n: [13, 14], evaluate: model}
limits: {memory: 256MiB}
resources: {memory: 300MiB}
YAML
run 0 check memory.yaml && has "$out" '^memory +up to [0-9.]+ MiB a trial \(1\); .* reserves 300.0 MiB$'
has "$err" '^skyline: warning: trial 1 may take [0-9.]+ MiB of memory, .* 256.0 MiB$'
run 0 check memory.yaml --set limits.memory=1GiB --json && same "$err" ""
[ "$(json "$out" 'd["bytes_needed"]')" -gt 268435456 ] || fail "no bytes_needed: $out"
sed 's/^job: noop/job: nop/' small.yaml >bad.yaml
run 2 check bad.yaml && has "$err" "^bad.yaml:2:[0-9]+: .*noop"
sed 's/^objectives/objectivs/' small.yaml >bad.yaml
run 2 check bad.yaml && has "$err" "^bad.yaml:5:1: .*did you mean 'objectives'"
printf 'name: [\n' >bad.yaml
run 2 check bad.yaml && has "$err" '^bad.yaml:2:'
run 2 check no-such-file.yaml && has "$err" 'no-such-file.yaml'
finish
