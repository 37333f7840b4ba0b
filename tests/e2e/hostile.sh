#!/bin/bash
# Instances of ill will (RELIABILITY "Hostile input", the data sets) through both doors: each gets its answer, and the next request works, on the same
# association, on a new one, and over HTTP. What can only be seen with the pixels decoded is said by the series' job. Nothing is left behind.
. "$(dirname "$0")/lib.sh"

made=$work/made
tests/tools/mkseries.py "$made" files long plain
/usr/bin/python3 tests/tools/mkhostile.py "$made/good/000.dcm" "$made"
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 2 | .log_level = "debug" | .dicom.max_instance_mb = 32
	| .rules = [{"name": "flair", "channel": "flair", "where": {"Modality": "MR"}}]'" $(limits)"
start_node "$work/segand.json"

# name STATUS-OF-C-STORE HTTP-STATUS-OF-STOW; a dash: not through that door
cat > "$work/expected" <<'T'
deep c000 400
deepopen c000 400
deepdefined c000 400
shallow 0000 200
overlap c000 400
endless c000 400
endless-items c000 400
endless-un c000 400
flood c000 400
unsorted c000 400
huge c000 400
short c000 400
length-4g c000 400
length-undefined c000 400
length-private c000 400
length-text c000 400
frames c000 400
rows c000 400
rows-zero c000 400
bits c000 400
badvr c000 400
tail aborted 400
random c000 400
text c000 400
ten c000 400
empty c000 400
nosyntax - 400
metalength - 400
group2 c000 400
deflatedcut c000 400
deflatednot c000 400
inflates c000 400
bomb c000 400
uid65 aborted 400
uiddots c000 400
uidnul c000 400
uidnone c000 400
preamble-elf 0000 200
preamble-script 0000 200
preamble-html 0000 200
preamble-zip 0000 200
text-html 0000 200
text-quotes 0000 200
text-lines 0000 200
text-escapes 0000 200
text-format 0000 200
text-nul 0000 200
text-latin 0000 200
text-long 0000 200
many 0000 200
pixels-long 0000 200
garbage-jpeg 0000 200
garbage-jpegls 0000 200
garbage-j2k 0000 200
garbage-rle 0000 200
decodes 0000 200
T
for uid in dots nul long ascii zero shell empty many format; do
	for level in instance study series; do
		answer=c000; [ "$uid-$level" != long-instance ] || answer=aborted # the command itself is none then
		# a component that begins with 0 is against PS3.5 9.1 and harmless; real archives have such, made of a time of day
		if [ $uid = zero ]; then echo "uid-$uid-$level 0000 200"; else echo "uid-$uid-$level $answer 400"; fi
	done
done >> "$work/expected"

stow_body "$work/known" "$made/plain/004.dcm"
same "a good instance" "$(stow "$work/known" | tail -1)" 200
rss=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$node_pid/status")

# ---- C-STORE
files=()
while read -r name status _; do [ "$status" = - ] || files+=("$made/$name/000.dcm"); done < "$work/expected"
/usr/bin/python3 tests/tools/cstore_raw.py "$dicom_port" "${files[@]}" > "$work/statuses" || fail "cstore_raw"
diff <(awk '$2 != "-" { print $1, $2 }' "$work/expected") "$work/statuses" || fail "C-STORE: < expected, > answered"

# ---- STOW: one body each; the answer is JSON, and a known instance is taken behind each
while read -r name _ status; do
	stow_body "$work/body" "$made/$name/000.dcm"
	answer=$(stow "$work/body")
	echo "$name ${answer##*$'\n'}"
	head -n -1 <<< "$answer" | jq -e . > /dev/null || fail "STOW of $name: no JSON: $answer"
	same "the next after $name" "$(stow "$work/known" | tail -1)" 200
done < "$work/expected" > "$work/statuses"
diff <(awk '{ print $1, $3 }' "$work/expected") "$work/statuses" || fail "STOW: < expected, > answered"

# ---- cut at every byte: refused, or whole up to an element's end (without pixels: an instance of its own kind, other content than the whole one)
/usr/bin/python3 tests/tools/cstore_raw.py "$dicom_port" --cuts "$made/good/000.dcm" > "$work/cuts" || fail "cuts"
size=$(stat -c %s "$made/good/000.dcm")
/usr/bin/python3 - "$made/good/000.dcm" > "$work/body" <<'PY'
import sys
whole = open(sys.argv[1], 'rb').read()
for n in range(len(whole)):
    sys.stdout.buffer.write(b'--segan-demo\r\nContent-Type: application/dicom\r\n\r\n' + whole[:n] + b'\r\n')
sys.stdout.buffer.write(b'--segan-demo--\r\n')
PY
answer=$(stow "$work/body")
refused=$(head -n -1 <<< "$answer" | jq '[.["00081198"].Value, .["0008119A"].Value] | map(length) | add')
stored=$(head -n -1 <<< "$answer" | jq '.["00081199"].Value | length')
same "cuts taken" "$refused $(grep -c '^0000' "$work/cuts")" "$size 0"

# ---- what shows only when pixels are looked at: the series' job says it, and it is tried once
while read -r name words; do
	study=$(dcmdump -q +P StudyInstanceUID "$made/$name/000.dcm" 2> "$work/dcmdump.log" | sed 's/.*\[\(.*\)\].*/\1/')
	wait_line "$node_log" "job_(done|rejected|failed) job=[0-9]+ study=${study//./[.]}( |$)" 120 "$node_pid" > /dev/null
	curl -sS "http://$http/api/v1/jobs?study=$study" | jq '.jobs[0]' > "$work/job"
	same "state of $name" "$(jq -r .state "$work/job")" rejected
	holds "reason of $name" "$(jq -r .reason "$work/job")" "$words"
	holds "attempts of $name" "$(jq -r .attempt "$work/job")" '^[01]$'
done <<'T'
garbage-jpeg JPEG codestream
garbage-jpegls JPEG-LS codestream
garbage-j2k JPEG 2000 codestream
garbage-rle RLE
pixels-long holds 1126 bytes
decodes are more than the [0-9]+ pixels
T
curl -sS "http://$http/api/v1/series/2.25.2/decision" | jq -e .reason > /dev/null || fail "the decision of the series with texts of ill will"

# ---- nothing is left of it: no name of a file, no line of the log that we did not write, no preamble, no memory
find "$work/data" | grep -vE '^[A-Za-z0-9./_-]+$|passwd' && fail "a file's name is not ours"
[ -z "$(ls -A "$work/data/tmp")" ] || fail "tmp is not empty"
for file in "$work"/data/spool/*/*.dcm; do cmp -s -n 128 "$file" /dev/zero || fail "$file has a preamble"; done
! grep -avE '^20[0-9T:.-]+Z (debug|info|warn|error) [a-z_]+( [a-z_]+=.*)?$|^ready ' "$node_log" || fail "a line of the log is not ours"
! LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]| info forged' "$node_log" || fail "control characters in the log"
senders=() # one large header at a time is in memory, and none afterwards
for _ in 1 2 3 4 5 6; do
	/usr/bin/python3 tests/tools/cstore_raw.py "$dicom_port" "$made/many/000.dcm" > "$work/many.log" & senders+=($!)
done
for sender in "${senders[@]}"; do wait "$sender" || fail "one of six at once"; done
peak=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$node_pid/status")
after=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$node_pid/status")
echo "the daemon's memory: $rss MiB before, $peak at most, $after after"
case $B in *asan*|*tsan*) ;; *) [ "$peak" -lt $((rss + 96)) ] && [ "$after" -lt $((rss + 48)) ] || fail "memory: $rss MiB before, $peak at most, $after after" ;; esac
stop_node
! grep -a -l -r -E 'CANARY' "$node_log" "$work/data/segand.db" "$work/job" || fail "a patient's name stands in the log or the database"
echo "$(wc -l < "$work/expected") instances of ill will through both doors, $size cuts: all answered as they should be"
