#!/bin/bash
# segan model: add, promote (refused, forced, by an evaluation), rollback, export; nothing but the folder of models is written, and nothing by half.
. "$(dirname "$0")/lib.sh"

shipped=$("$B/segan" model show glioma-flair --json | jq -r '"\(.name)/\(.version)"')
source="${SEGAN_MODELS:-model/shipped}/$shipped"
models=$work/models
mkdir -p "$models/${shipped%/*}"; cp -r "$source" "$models/${shipped%/*}/"
serving() { "$B/segan" model list --models "$models" --json | jq -r '.models[] | select(.in_service) | .version'; }
must() { "$B/segan" "$@" > "$work/out" 2> "$work/err" || { cat "$work/err"; fail "segan $*"; }; }
refused() { # STATUS PATTERN WORDS...
	local status=0 wanted=$1 pattern=$2; shift 2
	"$B/segan" "$@" > "$work/out" 2> "$work/err" || status=$?
	same "exit status of segan $*" $status "$wanted"
	grep -qE -- "$pattern" "$work/err" || { cat "$work/err"; fail "segan $* does not say $pattern"; }
}
# candidate DIR VERSION JQ: the shipped model changed, without the record of what it was trained on (another set: refused)
candidate() { cp -r "$source" "$1"; jq "del(.training) | .version = \"$2\" | $3" "$source/model.json" > "$1/model.json"; }
old=${shipped#*/}
name=${shipped%/*}

# ---- add ----
candidate "$work/better" 9.1.0 '.segments[0].threshold = 0.6'
candidate "$work/worse" 9.2.0 '.segments[0].threshold = 0.9999'
candidate "$work/cut" 9.3.0 '.'; truncate -s -100 "$work/cut/weights.safetensors"
candidate "$work/away" ../../../away '.'
must model add "$work/better" --models "$models"
must model add "$work/worse" --models "$models" --json
same "version in service after add" "$(serving)" "$old"
refused 1 'installed already' model add "$work/better" --models "$models"
refused 1 'altered or truncated' model add "$work/cut" --models "$models"
refused 1 'version must be' model add "$work/away" --models "$models"
refused 1 'model.json' model add "$work" --models "$models"
same "folders of versions" "$(cd "$models/$name" && ls -A | sort | tr '\n' ' ')" "$(printf '%s\n' "$old" 9.1.0 9.2.0 history.jsonl in-service | sort | tr '\n' ' ')"

# ---- a set with held-back cases, of six slices each ----
/usr/bin/python3 tests/tools/mkcases.py "$work/nifti"
must dataset create "$work/set" --channels flair --nifti "$work/nifti"
for version in 9.1.0 9.2.0; do
	must evaluate --model "$name@$version" --against "$name" --data "$work/set" --models "$models" --json --html "$work/$version.html"
	cp "$work/out" "$work/$version.json"
done
same "split that is evaluated" "$(jq -r '[.cases[].split] | unique | join(" ")' "$work/9.1.0.json")" test

# The comparison is the mean over cases of the differences; the worse one is worse.
same "comparison" "$(jq '([.cases[] | .segments[0].dice - .against[0].dice] | add / length) - .comparison[0].dice.mean | fabs < 1e-12' "$work/9.2.0.json")" true
same "worse everywhere" "$(jq '.comparison[0].dice | .mean < 0 and .better == 0 and .worse == .cases' "$work/9.2.0.json")" true

# ---- promote ----
refused 2 '^usage' model promote "$name@9.1.0" --models "$models"
refused 2 'why' model promote "$name@9.1.0" --force --models "$models"
refused 2 'which version' model promote "$name" --force --reason x --models "$models"
refused 1 'not better' model promote "$name@9.2.0" --evaluation "$work/9.2.0.json" --models "$models"
refused 1 'not glioma-flair@9.2.0' model promote "$name@9.2.0" --evaluation "$work/9.1.0.json" --models "$models"
refused 1 'no file' model promote "$name@9.2.0" --evaluation "$work/nothing.json" --models "$models"
refused 1 'is not installed' model promote "$name@9.9.9" --force --reason x --models "$models"
must evaluate --model "$name@9.1.0" --data "$work/set" --models "$models" --json; cp "$work/out" "$work/alone.json"
refused 1 'against the model in service' model promote "$name@9.1.0" --evaluation "$work/alone.json" --models "$models"
must evaluate --model "$name@9.1.0" --against "$name" --data "$work/set" --split all --models "$models" --json; cp "$work/out" "$work/all.json"
refused 1 'only test cases are held back' model promote "$name@9.1.0" --evaluation "$work/all.json" --models "$models"
same "version in service after refusals" "$(serving)" "$old"
must model promote "$name@9.1.0" --evaluation "$work/9.1.0.json" --models "$models"
same "version in service" "$(serving)" 9.1.0
refused 1 'in service already' model promote "$name@9.1.0" --evaluation "$work/9.1.0.json" --models "$models"
refused 1 "against $name@$old, not" model promote "$name@9.2.0" --evaluation "$work/9.2.0.json" --models "$models"
must model promote "$name@9.2.0" --force --reason 'a test of rollback' --models "$models"
same "version in service by force" "$(serving)" 9.2.0
must model show "$name" --models "$models"
grep -q 'promote 9.2.0, before 9.1.0: a test of rollback' "$work/out" || { cat "$work/out"; fail "the history in show"; }

# ---- rollback ----
must model rollback "$name" --models "$models"
same "version in service after rollback" "$(serving)" 9.1.0
must model rollback "$name" --models "$models"
same "version in service after the second" "$(serving)" "$old"
refused 1 'nothing to go back to' model rollback "$name" --models "$models"
refused 1 'not installed' model rollback unknown --models "$models"
same "history" "$(jq -r '"\(.action) \(.version)"' "$models/$name/history.jsonl" | paste -sd,)" "add 9.1.0,add 9.2.0,promote 9.1.0,promote 9.2.0,rollback 9.1.0,rollback $old"
same "evaluation in the history" "$(jq -r 'select(.evaluation != null).evaluation.sha256' "$models/$name/history.jsonl")" "$(sha256sum < "$work/9.1.0.json" | cut -d' ' -f1)"

# ---- with a configuration: data_dir/models is written, models_dir is not ----
mkdir "$work/ro" "$work/data"; cp -r "$models/$name/$old" "$work/ro/"; mkdir "$work/shipped" && mkdir "$work/shipped/$name" && mv "$work/ro/$old" "$work/shipped/$name/"
before=$(cd "$work/shipped" && find . -type f -exec sha256sum {} + | sort)
jq -n --arg d "$work/data" --arg m "$work/shipped" '{data_dir: $d, models_dir: $m}' > "$work/segand.json"
must model add "$work/better" --config "$work/segand.json"
must model promote "$name@9.1.0" --force --reason x --config "$work/segand.json"
same "pointer in data_dir" "$(cat "$work/data/models/$name/in-service")" 9.1.0
same "models_dir" "$(cd "$work/shipped" && find . -type f -exec sha256sum {} + | sort)" "$before"
"$B/segan" model list --config "$work/segand.json" | grep -q "^\* $name@9.1.0 " || fail "model list --config"

# ---- export ----
mkdir "$work/run"; cp -r "$work/better" "$work/run/best"
must model export "$work/run" "$work/exported/"
cmp "$work/exported/weights.safetensors" "$source/weights.safetensors" || fail "exported weights"
refused 1 'is there already' model export "$work/run" "$work/exported"
must model export "$name" "$work/by_name" --models "$models"
same "version exported by name" "$(jq -r .version "$work/by_name/model.json")" "$old"
refused 1 'not installed' model export unknown "$work/other" --models "$models"
refused 1 'no folder of a training' model export "$work/set" "$work/other"
[ ! -e "$work/other" ] || fail "half an export"
cp -r "$work/cut" "$work/run2"
refused 1 'altered or truncated' model export "$work/run2" "$work/other"
[ -z "$(ls -d "$work"/other* 2>/dev/null)" ] || fail "half an export"
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
	/usr/bin/python3 -c 'import sys; sys.path.insert(0, "tests/tools"); import torch_reference as t; m, w = t.load(sys.argv[1]); t.network(m, w); print("PyTorch loads", len(w), "tensors by name")' \
		"$work/exported" || fail "PyTorch does not load the export by name"
else
	echo "PyTorch is not installed: the export was not loaded by it"
fi
# ---- statistics: of the model's own training set, nothing else changes ----
jq 'del(.statistics) | .training.data_digest = "0" * 64' "$source/model.json" > "$work/exported/model.json"
refused 1 'trained on another data set' model statistics "$work/exported" --data "$work/set"
refused 2 'of which cases' model statistics "$work/exported"
jq 'del(.statistics, .training)' "$source/model.json" > "$work/exported/model.json"
must model statistics "$work/exported" --data "$work/set" --json
same "statistics" "$(jq -c '.statistics' "$work/exported/model.json")" "$(jq -c . "$work/out")"
same "cases" "$(jq '.cases' "$work/out")" "$(jq '[.cases[] | select(.split == "train")] | length' "$work/set/dataset.json")"
same "the rest" "$(jq -S 'del(.statistics)' "$work/exported/model.json")" "$(jq -S 'del(.statistics, .training)' "$source/model.json")"

for verb in add export promote rollback statistics; do "$B/segan" model --help | grep -q "^$verb: " || fail "model --help does not tell of $verb"; done
echo "models are added, promoted, rolled back, exported"
