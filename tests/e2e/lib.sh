#!/bin/bash
# What every end-to-end test begins with: bash, the repository's root, $B, a folder of its own, and the demo's functions. Stops what was started at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
B=${B:-build}
export TSAN_OPTIONS=report_thread_leaks=0${TSAN_OPTIONS:+:$TSAN_OPTIONS} # a node that must end at once does not wait for its threads
case $B in *tsan*|*asan*) STOP_SECONDS=10 ;; esac # a sanitizer's own end of the process takes a second or more of the 5
unset MAKEFLAGS MAKELEVEL MFLAGS # of the make that called us
work=$(mktemp -d)
case $B in
*tsan*|*asan*) # where the model in service takes ten times as long as it should: the small one
	export SEGAN_MODELS=$work/small
	cp -r model/shipped "$SEGAN_MODELS"; echo 0.1.0 > "$SEGAN_MODELS/glioma-flair/in-service"
	jq -s '.[0] + {statistics: .[1].statistics}' model/shipped/glioma-flair/{0.1.0,1.0.0}/model.json > "$SEGAN_MODELS/glioma-flair/0.1.0/model.json"
	jq '.input.mirror = false' model/shipped/glioma-regions/1.0.0/model.json > "$SEGAN_MODELS/glioma-regions/1.0.0/model.json" ;;
*) [ -d "$B/../model/shipped" ] || export SEGAN_MODELS=$PWD/model/shipped ;;
esac
. deploy/demo/lib.sh
e2e_finish() {
	local status=$?
	trap - EXIT
	stop_all
	if cat "$work"/*.log "${node_log:-/dev/null}" 2>/dev/null | grep -a -m 1 -A 45 -E 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' > "$work/found"; then
		echo "FAILED: a sanitizer has found something, in the node or its worker"; status=1
		cat "$work/found" # last: tests/run shows the end
	elif [ "$status" != 0 ]; then
		echo "--- node log"; tail -n 40 "${node_log:-/dev/null}" 2>/dev/null
	fi
	chmod -R u+rwx "$work" 2>/dev/null
	rm -rf "$work"
	exit "$status"
}
trap e2e_finish EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }
# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || fail "$1: \"$2\" instead of \"$3\""; }
# holds WHAT TEXT PATTERN
holds() { grep -qE -- "$3" <<< "$2" || fail "$1: \"$2\" does not hold \"$3\""; }
# valid FILE: no error by dciodvfy, whose own status, under pipefail, would hide what grep finds.
valid() { ! { dciodvfy -new "$1" 2>&1 || true; } | grep '^Error' || fail "dciodvfy $1"; }
job() { curl -sS "http://$http/api/v1/jobs/$1"; }

# dice_by_pytorch: the test cases, and what PyTorch had on them with the model in service
dice_by_pytorch() { awk -v model="$("$B/segan" model show glioma-flair --json | jq -r '"\(.name)@\(.version)"')" '$2 == model { print $1, $3 }' tests/data/lgg/dice.txt; }

demo_study() { mkdir -p "$1"; tar -xJf deploy/demo/TCGA-FG-6692-flair.tar.xz -C "$1" --strip-components=2; } # DIR gets the 26 files

# The sanitizers need address space that the worker's limit does not leave.
limits() { case $B in *asan*|*tsan*) echo '| .worker_memory_mb = 1073741824' ;; esac; }

# no_identity: the study's patient name and ID stand in no log, database or HTTP answer that needs no right to see them.
no_identity() {
	local what
	for what in "$@"; do ! grep -a -l -r -E 'FG-6692|Canary' "$what" 2>/dev/null | grep -v '\.dcm$' || fail "a patient's name or ID stands in $what"; done
}
