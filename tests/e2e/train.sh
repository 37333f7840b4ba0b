#!/bin/bash
# segan train on two real cases: SIGTERM saves and stops with exit 0, kill -9 at any moment loses nothing, and the bits are those of a run that nothing
# disturbed; the model it leaves is one that segan segment takes; what cannot work is named.
. "$(dirname "$0")/lib.sh"

case $B in # six slices of each where computing takes ten times as long
*asan*|*tsan*) /usr/bin/python3 tests/tools/mkcases.py "$work/few" 2; cases=$work/few layout=plain ;;
*) cases=tests/data/lgg layout=lgg ;;
esac
"$B/segan" dataset create "$work/set" --channels flair --nifti "$cases" --layout $layout > "$work/log" 2>&1 || { cat "$work/log"; fail "dataset create"; }
cat > "$work/recipe.json" <<'J'
// small enough for a test
{"width": 4, "batch": 6, "crop": 160, "steps": 40, "validate_every": 10, "checkpoint_minutes": 0}
J
train() { "$B/segan" train --data "$work/set" "$@"; }

train --out "$work/whole" --recipe "$work/recipe.json" --threads 1 > "$work/log" || { cat "$work/log"; fail "train"; }
holds "last words" "$(tail -n 1 "$work/log")" "finished after 40 steps"
for f in recipe.json log.csv curves.svg best/model.json best/weights.safetensors best/CARD.md; do [ -s "$work/whole/$f" ] || fail "no $f"; done
xmllint --noout "$work/whole/curves.svg" 2>/dev/null || ! command -v xmllint > /dev/null || fail "curves.svg is no XML"

# signal NAME OUT: begins the run and signals it when its first model is told
signal() {
	local line seen=0
	mkfifo "$work/pipe"
	"$B/segan" train --data "$work/set" --out "$2" --recipe "$work/recipe.json" --threads 2 > "$work/pipe" 2> "$work/err" &
	local pid=$!
	while read -r line; do
		echo "$line"
		case $line in *'model is that of step'*) [ $seen = 1 ] || kill "-$1" $pid; seen=1 ;; esac
	done < "$work/pipe" > "$work/log"
	rm "$work/pipe"
	wait $pid 2> "$work/wait"
}
signal TERM "$work/stopped" || { cat "$work/log" "$work/err"; fail "SIGTERM is a good end"; }
holds "words" "$(tail -n 1 "$work/log")" "stopped and saved after step 1[0-9]; .* --resume goes on"
signal KILL "$work/killed" && fail "kill -9 is no good end"
for run in stopped killed; do
	train --out "$work/$run" --resume > "$work/log" || { cat "$work/log"; fail "resume $run"; }
	cmp "$work/whole/best/weights.safetensors" "$work/$run/best/weights.safetensors" || fail "$run: other weights"
	cmp "$work/whole/checkpoints/step-00000040/game.safetensors" "$work/$run/checkpoints/step-00000040/game.safetensors" || fail "$run: other state"
	cmp <(cut -d, -f1-7 "$work/whole/log.csv") <(cut -d, -f1-7 "$work/$run/log.csv") || fail "$run: other log"
done

# The model is a model folder; a training can begin with it.
mkdir -p "$work/models/glioma-flair"; cp -r "$work/whole/best" "$work/models/glioma-flair/1.0.0"
"$B/segan" model show glioma-flair --models "$work/models" > "$work/log" 2>&1 || { cat "$work/log"; fail "model show"; }
[ $layout = plain ] || same "statistics" "$(jq -c '.statistics | .cases, (.channels.flair.head_ml)' "$work/whole/best/model.json" | paste -sd' ')" '2 [1662,1799]'
jq 'del(.width, .steps)' "$work/whole/recipe.json" > /dev/null || fail "recipe.json is no JSON"
echo '{"batch": 4, "crop": 96}' > "$work/small.json"
train --out "$work/on" --from glioma-flair@1.0.0 --models "$work/models" --recipe "$work/small.json" --steps 3 > "$work/log" || { cat "$work/log"; fail "--from"; }
same "version" "$(jq -r .version "$work/on/best/model.json")" 1.0.1
same "width" "$(jq -r .network.width "$work/on/best/model.json")" 4
same "from" "$(jq -r .training.from "$work/on/best/model.json")" glioma-flair@1.0.0

# wrong STATUS PATTERN ARGUMENTS...
wrong() {
	local status=0 wanted=$1 pattern=$2; shift 2
	"$B/segan" train "$@" > "$work/log" 2>&1 < /dev/null || status=$?
	same "exit status of segan train $*" "$status" "$wanted"
	holds "segan train $*" "$(cat "$work/log")" "$pattern"
}
printf '{\n "widht": 8}' > "$work/bad.json"
wrong 2 "bad.json: line 2: widht: unknown key" --data "$work/set" --out "$work/x" --recipe "$work/bad.json"
[ ! -e "$work/x" ] || fail "a refused recipe leaves a run"
echo '{"channels": ["t1c"]}' > "$work/channel.json"
wrong 1 "has no channel t1c" --data "$work/set" --out "$work/x" --recipe "$work/channel.json"
[ ! -e "$work/x" ] || fail "a training that could not begin leaves a run"
wrong 1 "holds a run: --resume" --data "$work/set" --out "$work/whole"
wrong 1 "is no run of segan train" --data "$work/set" --out "$work/x" --resume
wrong 1 "nowhere" --data "$work/nowhere" --out "$work/x"
wrong 2 "only --data, --out and --threads" --data "$work/set" --out "$work/whole" --resume --steps 5
wrong 2 "only one can be given" --data "$work/set" --out "$work/x" --steps 5 --minutes 1
wrong 2 "whole numbers" --data "$work/set" --out "$work/x" --steps 2.5
wrong 2 "needed" --data "$work/set"
wrong 1 "nosuch is not installed" --data "$work/set" --out "$work/x" --from nosuch --models "$work/models"
printf x | dd of="$work/models/glioma-flair/1.0.0/weights.safetensors" bs=1 seek=5000 conv=notrunc 2> "$work/err"
wrong 1 "models/glioma-flair/1.0.0/weights.safetensors: its SHA-256" --data "$work/set" --out "$work/x" --from glioma-flair --models "$work/models"
[ ! -e "$work/x" ] || fail "refused weights leave a run"
truncate -s -1 "$work"/set/*1.bin
wrong 1 "\.bin" --data "$work/set" --out "$work/x"
echo "train: stopped, killed, resumed to the same bits; bad input named"
