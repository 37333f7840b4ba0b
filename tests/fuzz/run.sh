#!/bin/bash
# run.sh SECONDS [TARGET]: every fuzz target under libFuzzer, one after another, SECONDS each, from the corpus that ships and what earlier runs found (build/fuzz/corpus).
# One line a target: executions, coverage, findings. What it finds stays in build/fuzz/found/TARGET: run it again with
#   FUZZ_TARGET=TARGET build/fuzz/fuzzer FILE
# Exit 1 when a target has found anything.
set -u
cd "$(dirname "$0")/../.."
seconds=${1:-60} only=${2:-} bad=0
fuzzer=build/fuzz/fuzzer
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1

most() { case $1 in dicom|seg) echo 8192 ;; series) echo 16384 ;; *) echo 4096 ;; esac; } # bytes of an input: what a bug needs is found sooner in small ones

for folder in tests/fuzz/corpus/*/; do
	target=$(basename "$folder")
	[ -z "$only" ] || [ "$only" = "$target" ] || continue
	corpus=build/fuzz/corpus/$target found=build/fuzz/found/$target log=build/fuzz/$target.log
	mkdir -p "$corpus" "$found"
	FUZZ_TARGET=$target nice -n 10 "$fuzzer" -max_total_time="$seconds" -max_len="$(most "$target")" -timeout=20 -rss_limit_mb=3072 -malloc_limit_mb=2560 -print_final_stats=1 \
		-artifact_prefix="$found/" "$corpus" "$folder" > "$log" 2>&1
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
	if [ "$status" = 0 ]; then
		echo "$target: ${runs:-0} executions, $coverage edges, no finding"
	else
		bad=1
		echo "$target: FINDING after ${runs:-?} executions, see $log and $found"
		grep -m 3 -E '^SUMMARY|ERROR: |does not hold' "$log" | sed 's/^/    /'
	fi
done
[ -n "$only" ] && [ ! -d "tests/fuzz/corpus/$only" ] && { echo "no target is called $only"; exit 2; }
exit "$bad"
