#!/bin/bash
# The zoo: the same real voxels as scanners, archives and people send them. tests/data/zoo.tsv has the right answer to each; seg_check.py and dciodvfy judge each SEG.
# MEMBERS="a b": only those. The table with its verdicts goes to stdout. Under a sanitizer, where a member takes ten times as long: one of each way through the code.
. "$(dirname "$0")/lib.sh"

say() { printf '%-26s %-10s %-8s %s\n' "$@"; }
ask() { # MEMBER ANSWER COMPARED LEAST WORDS: prints its line; false when the answer is not the right one
	local dir=$work/zoo/$1 out=$work/$1.dcm status=0 got dice=-
	"$B/segan" inspect "$dir" --json > "$work/inspect.json" 2> "$work/inspect.err" || { say "$1" "-" "-" "inspect failed: $(tail -1 "$work/inspect.err")"; return 1; }
	"$B/segan" segment "$dir" -o "$out" --json > "$work/segment.json" 2> "$work/segment.err" || status=$?
	case $status in
	0) got=segmented ;;
	1) if jq -e '[.cases[] | select(.state == "rejected")] | length > 0' "$work/inspect.json" > /dev/null; then got=rejected
	   elif jq -e '[.series[] | select(.channel)] | length == 0' "$work/inspect.json" > /dev/null; then got=ignored
	   else got=rejected; fi ;;
	*) say "$1" "status $status" - "$(tail -1 "$work/segment.err")"; return 1 ;;
	esac
	[ "$2" != any ] || { say "$1" "$got" - "$(tail -1 "$work/segment.err")"; return 0; }
	[ "$got" = "$2" ] || { say "$1" "$got" - "WRONG: $2 is right; $(tail -1 "$work/segment.err")"; return 1; }
	cat "$work"/inspect.{json,err} "$work"/segment.{json,err} > "$work/said"
	! dcmdump -q +P LossyImageCompression "$out" 2> /dev/null | grep -q '\[01\]' || echo lossy >> "$work/said"
	if [ "$5" != - ] && ! grep -qE -- "$5" "$work/said"; then
		say "$1" "$got" - "WRONG: does not say $5: $(tail -1 "$work/segment.err")"; return 1
	fi
	if [ "$got" = segmented ]; then
		[ -e "$out" ] || { say "$1" "$got" - "WRONG: nothing was found"; return 1; }
		rm -rf "$work/source"; mkdir "$work/source"
		jq -r '.channels | to_entries[0].value' "$work/segment.json" > "$work/uid"
		for f in "$dir"/*; do ! grep -q -a -F "$(< "$work/uid")" "$f" || cp "$f" "$work/source/"; done
		[ "$1" != deflated ] || cp "$dir"/* "$work/source/"
		/usr/bin/python3 tests/tools/seg_check.py "$out" "$work/source" --allow-empty-segments > "$work/check" 2>&1 || { say "$1" "$got" - "WRONG: seg_check: $(grep -v '^note' "$work/check" | head -1)"; return 1; }
		dice=$(/usr/bin/python3 tests/tools/zoo_judge.py "$3" "$work/explicit.dcm" "$out" "$dir")
		awk -v d="$dice" -v least="$4" 'BEGIN { exit !(d >= least) }' || { say "$1" "$got" "$dice" "WRONG: Dice below $4"; return 1; }
	else
		[ ! -e "$out" ] || { say "$1" "$got" - "WRONG: a SEG was written"; return 1; }
	fi
	say "$1" "$got" "$dice" "$([ "$got" = segmented ] || tail -1 "$work/segment.err" | cut -c1-150)"
}

case $B in
*asan*) MEMBERS=${MEMBERS:-jpeg-lossless jpeg-ls-near jpeg-2000 rle deflated enhanced-compressed enhanced-two-times coronal-reversed padding one-slice pixels-short colour two-echoes extras} ;;
*tsan*) MEMBERS=${MEMBERS:-enhanced-compressed coronal-reversed} ;; # what is read and written is not done by threads
esac
grep -v '^#' tests/data/zoo.tsv > "$work/zoo.tsv"
read -ra members <<< "${MEMBERS:-$(cut -f1 "$work/zoo.tsv" | tr '\n' ' ')}"
/usr/bin/python3 tests/tools/mkzoo.py "$work/zoo" explicit "${members[@]}"
wrong=0
for member in "${members[@]}"; do
	IFS=$'\t' read -r name answer compared least words < <(grep -P "^$member\t" "$work/zoo.tsv")
	[ "$name" = "$member" ] || fail "tests/data/zoo.tsv has no line for $member"
	[ "$member" = explicit ] || [ -e "$work/explicit.dcm" ] || ask explicit segmented space 0 - > /dev/null || true
	ask "$name" "$answer" "$compared" "$least" "$words" || wrong=$((wrong + 1))
done
same "wrong answers" "$wrong" 0
