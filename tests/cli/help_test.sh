# Help, manual, completion and wrong use, of every command.
. "$(dirname "$0")/lib.sh"

run 0 --version && has "$out" '^skyline [0-9]+\.[0-9]+\.[0-9]+$'
run 0 --help && has "$out" '^  run +run a sweep'
run 2 && has "$err" 'Usage'
run 2 runn && has "$err" "did you mean run\?"

commands=$("$skyline" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 25 ] || fail "too few commands: $commands"
for c in $commands; do
    run 0 "$c" --help
    has "$out" "^skyline $c: "
    has "$out" "^  skyline $c.* \[options\]$"
    lacks "$out" $'\033'
    [ -z "$err" ] || fail "$c --help writes to standard error"
    [ "$(awk 'length > 80' <<<"$out" | grep -vc '^  ')" -eq 0 ] || fail "$c --help is too wide"
    run 0 help "$c"
    has "$out" "^skyline $c: "
    run 2 "$c" --no-such-option
    has "$err" "unknown option --no-such-option"
    has "$err" "Try 'skyline $c --help'"
done

run 2 run && has "$err" 'expected SWEEP.yaml'
run 2 run a.yaml b.yaml && has "$err" "unexpected 'b.yaml'"
run 2 run a.yaml --dbb x.db && has "$err" 'did you mean --db\?'
run 2 run a.yaml --db && has "$err" '\-\-db needs a value'
run 2 run a.yaml --retry=yes && has "$err" '\-\-retry takes no value'
run 2 run a.yaml -j 0 && has "$err" 'not between 1 and'
run 2 run a.yaml -j2x && has "$err" 'not a whole number'
run 2 run a.yaml --progress baar && has "$err" 'did you mean bar\?'
run 2 run a.yaml --grace soon && has "$err" 'not a duration'
run 2 worker --memory 5parsecs && has "$err" 'not a size'
run 2 help nothing && has "$err" 'no command'
run 2 completion tcsh

run 0 help --man
has "$out" '^\.TH SKYLINE 1'
if command -v groff >/dev/null; then
    warnings=$(groff -man -Tutf8 -ww -z <<<"$out" 2>&1)
    same "$warnings" ""
fi
for c in $commands; do has "$out" "^\.SS \"skyline $c "; done

run 0 help --markdown
same "$out" "$(cat "$repo/docs/cli.md")"

run 0 completion bash
bash -n <<<"$out" || fail "bash completion does not parse"
# What a user sees: the words that completion offers.
words=$(bash -c "$out"'; COMP_WORDS=(skyline run --pr); COMP_CWORD=2; _skyline; echo "${COMPREPLY[@]}"')
same "$words" "--progress"
words=$(bash -c "$out"'; COMP_WORDS=(skyline run --progress ""); COMP_CWORD=3; _skyline; echo "${COMPREPLY[@]}"')
same "$words" "bar plain none"
run 0 completion zsh && has "$out" '^#compdef skyline'
if command -v zsh >/dev/null; then zsh -n <<<"$out" || fail "zsh completion does not parse"; fi
run 0 completion fish && has "$out" '^complete -c skyline'
if command -v fish >/dev/null; then fish -n <<<"$out" || fail "fish completion does not parse"; fi
lacks "$out" 'executor'
finish
