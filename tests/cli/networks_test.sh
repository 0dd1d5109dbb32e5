# `skyline networks` and `trace`, and jobs on networks from files.
. "$(dirname "$0")/lib.sh"
models=$repo/tests/hw/onnx

run 0 networks && has "$out" '^resnet50 +He et al.* 54 +25557032 +4089184256$' && has "$out" '^gpt2_small '
run 0 networks --names && same "$(grep -c . <<<"$out")" "$(("$("$skyline" networks --csv | wc -l)" - 1))"
run 0 networks --json
same "$(json "$out" '[n["parameters"] for n in d if n["network"] == "alexnet"]')" '[61100840]'
run 0 networks vgg11 && has "$out" '^fc8 .*4096000$' && has "$out" '132863336 parameters, 7609090048 multiply'
run 0 networks "$models/gpt2_small.onnx" --csv
has "$out" '^layer,kind,input,output,window,stride,groups,parameters,macs$'
same "$(awk -F, '{p += $8; m += $9} END {printf "%.0f %.0f", p, m}' <<<"$out")" "124439808 145824153600"
run 0 networks "$models/gpt2_small.onnx" --json
same "$(json "$out" 'len([l for l in d if l["kind"] == "matmul"])')" 24
run 1 networks "$models/gpt2_small.onnx:sequence=128" && has "$err" "no input has an open dimension 'sequence'"
run 0 networks "$models/gpt2_small.onnx:batch=4" && has "$out" '^gpt2_small .* 124439808 parameters, 145824153600 '
run 2 networks resnet5 && has "$err" "did you mean 'resnet50'"
run 2 networks --json --csv
run 1 networks none.onnx && has "$err" 'none.onnx'
echo nonsense >bad.onnx
run 1 networks bad.onnx && has "$err" 'bad.onnx.*not ONNX'
printf 'Layer,M,N,K,\nqkv,512,2304,768,\n' >gemms.csv
run 0 networks gemms.csv && has "$out" '^qkv +conv .* 905969664$'
printf 'Layer,M,N,K,\nqkv,512,many,768,\n' >bad.csv
run 1 networks bad.csv && has "$err" 'bad.csv:2:9: N: an integer'

run 0 trace resnet50 --pruned 0.4 --seed 3 --stages 18 -o a.trace && same "$out" ""
run 0 trace resnet50 -p 0.4 --seed 3 --stages 18
same "$out" "$(cat a.trace)"
has "$out" '^skyline-trace 1$' && has "$out" '^network resnet50$'
same "$(grep -c '^at ' a.trace)" 18
same "$(tail -1 a.trace)" 'end 90 450450'
same "$(sed -n '/^at 0 /,/^at 5 /p' a.trace | grep 'layer conv1')" 'layer conv1 64'
run 0 trace "$models/mobilenet_v2.onnx" && has "$out" '^layer features.18.0 1280$'
run 0 trace gemms.csv && has "$out" '^skyline-trace'
run 2 trace && has "$err" 'expected NETWORK'
run 2 trace resnet5 && has "$err" 'did you mean'
run 2 trace vgg11 --pruned 1 && has "$err" 'below 1'
run 2 trace vgg11 --pruned half && has "$err" 'not a number'
run 2 trace vgg11 --stages 7 && has "$err" '90 epochs cannot be divided into 7 stages'
run 1 trace vgg11 -o no/such/folder && has "$err" 'cannot write'

# A job on a file gives what it gives on the same network of the zoo.
for job in flexsa delta; do
    run 0 eval $job network=resnet50 && zoo=$(json "$out" 'd["metrics"]')
    run 0 eval $job network="$models/resnet50.onnx" && same "$(json "$out" 'd["metrics"]')" "$zoo"
    run 1 eval $job network=none.onnx && has "$err" 'none.onnx'
    run 0 eval $job network=gemms.csv
done
cp "$models/resnet50.onnx" .
cat >files.yaml <<'YAML'
name: files
job: flexsa
space:
  network: [resnet50, resnet50.onnx, bad.onnx]
objectives: [{energy_j: min}]
YAML
mkdir elsewhere && cd elsewhere || exit 1
# A wrong file is found before anything runs, with its place in the sweep file.
run 2 check ../files.yaml && has "$err" 'files.yaml:4:38: network: .*bad.onnx.*not ONNX'
run 2 run ../files.yaml --db s.db && has "$err" 'files.yaml:4:38: network: .*bad.onnx' && has "$err" 'unchecked'
[ ! -e s.db ] || fail "a refused sweep made a file"
run 2 check ../files.yaml --set network=none.csv && has "$err" 'none.csv'
run 2 check ../files.yaml --set 'network=[resnet50, resnet5]' && has "$err" "did you mean 'resnet50'"
run 2 check ../files.yaml --set network=resnet50 --set trace=none.trace && has "$err" 'trace: .*none.trace'
run 0 check ../files.yaml --set 'network=[resnet50, resnet50.onnx]'
printf 'name: g\njob: delta\nspace: {gpu: [V100, none.csv]}\n' >g.yaml
run 2 check g.yaml && has "$err" 'g.yaml:3:21: gpu: .*none.csv'
printf 'name: w\njob: wavecore\nspace: {buffer_mib: {from: 1, to: 40, step: 0.01}, network: [alexnet, none.onnx]}\n' >w.yaml
run 2 check w.yaml && has "$err" 'none.onnx'
# An axis that varies slowly is looked at, too: its second half begins at point 3,901.
printf 'name: w\njob: wavecore\nspace: {network: [alexnet, none.onnx], buffer_mib: {from: 1, to: 40, step: 0.01}}\n' >w.yaml
run 2 check w.yaml && has "$err" 'w.yaml:3:28: network: .*none.onnx'
run 1 run ../files.yaml --db s.db --unchecked
same "$(sql s.db 'SELECT count(DISTINCT energy_j), count(*) FROM files')" '1|2'
run 0 failures files --db s.db --format json && has "$out" 'bad.onnx.*not ONNX'
finish
