#!/bin/bash
# Every fuzz target over its corpus (tests/fuzz), without libFuzzer: what once was a finding stays none, in this build.
. "$(dirname "$0")/lib.sh"

n=0
for target in $("$B/tests/fuzz_replay" --list); do
	files=(tests/fuzz/corpus/"$target"/*)
	[ -f "${files[0]}" ] || fail "tests/fuzz/corpus/$target is empty"
	"$B/tests/fuzz_replay" "$target" "${files[@]}" > "$work/replay.log" 2>&1 || { tail -n 30 "$work/replay.log"; fail "$target"; }
	n=$((n + ${#files[@]}))
done
echo "$n inputs, none found anything"
