#!/bin/bash
# What the critic adds: the paper's segmentor and the U-Net, each with the critic alone, with critic and Dice term, with the Dice term alone. Every training
# gets the same minutes of one core's own time (not the wall's: a busy machine treats all six alike), every model is measured on the validation patients.
# usage: tests/train/table.sh SET OUT [MINUTES] [NAME...]   SET: of segan dataset create. OUT: a folder; what is finished there is not done again.
# MORE: further keys of all six recipes (the default recipe gives the rest).
# stdout: NAME, steps, mean and median Dice with their 95 % intervals.
set -eu
cd "$(dirname "$0")/../.."
segan=${SEGAN:-build/segan} set=$1 out=$2 minutes=${3:-15}
shift $(($# < 3 ? $# : 3))
names=(segan-critic segan-critic-dice segan-dice unet-critic unet-critic-dice unet-dice)
declare -A recipe=(
	[segan-critic]='{"segmentor": "segan", "width": 16, "dice_weight": 0'
	[segan-critic-dice]='{"segmentor": "segan", "width": 16'
	[segan-dice]='{"segmentor": "segan", "width": 16, "critic": "none"'
	[unet-critic]='{"segmentor": "unet", "width": 8, "dice_weight": 0'
	[unet-critic-dice]='{"segmentor": "unet", "width": 8'
	[unet-dice]='{"segmentor": "unet", "width": 8, "critic": "none"'
)
mkdir -p "$out"
TIMEFORMAT=%U
seconds_of() { # RUN STEPS: the core's seconds that so many steps take, start and validation included
	rm -rf "$out/$1.timed"
	{ time "$segan" train --data "$set" --out "$out/$1.timed" --recipe "$out/$1.json" --steps "$2" --threads 1 > "$out/$1.timed.log" 2>&1; } 2>&1
	rm -rf "$out/$1.timed" "$out/$1.timed.log"
}
for name in "${@:-${names[@]}}"; do
	if [ ! -f "$out/$name.steps" ]; then
		echo "${recipe[$name]}, \"validate_every\": 100000${MORE:+, $MORE}}" > "$out/$name.json"
		steps=$(echo "$(seconds_of "$name" 5) $(seconds_of "$name" 35)" | awk -v minutes="$minutes" '{ printf "%d", minutes * 60 / (($2 - $1) / 30) }')
		echo "${recipe[$name]}, \"validate_every\": $((steps / 4))${MORE:+, $MORE}}" > "$out/$name.json"
		echo "$steps" > "$out/$name.steps"
	fi
	if [ ! -f "$out/$name.evaluation.json" ]; then
		how=(--recipe "$out/$name.json" --steps "$(< "$out/$name.steps")")
		[ ! -d "$out/$name" ] || how=(--resume)
		"$segan" train --data "$set" --out "$out/$name" "${how[@]}" --threads 1 > "$out/$name.log" 2>&1 || { tail -3 "$out/$name.log" >&2; exit 1; }
		"$segan" evaluate --run "$out/$name" --data "$set" --split validation --json --threads 1 > "$out/$name.evaluation.part"
		mv "$out/$name.evaluation.part" "$out/$name.evaluation.json"
	fi
	jq -r --arg n "$name" --arg s "$(< "$out/$name.steps")" \
		'def two: . * 1000 | round / 1000; .segments[0].dice | "\($n) \($s) mean \(.mean | two) [\(.mean_interval | map(two | tostring) | join(", "))] median \(.median | two) [\(.median_interval | map(two | tostring) | join(", "))]"' \
		"$out/$name.evaluation.json"
done
