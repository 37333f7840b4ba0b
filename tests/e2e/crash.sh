#!/bin/bash
# kill -9 of the daemon or its worker at random instants of a study's way, then a restart: nothing acknowledged is lost, the results of a study arrive once each, under one UID.
#   POINTS=500 SEED=7 tests/e2e/crash.sh     (make soak)
. "$(dirname "$0")/lib.sh"
points=${POINTS:-$(case $B in *asan*|*tsan*) echo 3 ;; *) echo 20 ;; esac)}
seed=${SEED:-$RANDOM}; RANDOM=$seed
echo "seed $seed"

demo_study "$work/study"
start_archive archive
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 30 | .retry_delay = 1 | .retry_max = 2 | .max_attempts = 10 | .log_level = "debug"
	| .models = [{"name": "glioma-flair", "destinations": ["archive"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port, "timeout": 10, "results": ["seg", "report", "preview"]}} '"$(limits)" --argjson port "$archive_port"
: > "$work/acknowledged"

send() { # DIR: what was answered with success goes to the list
	local status=0
	rm -f "$work/report"
	dcmsend -q -aec SEGAN -to 10 -ta 10 -td 10 127.0.0.1 "$dicom_port" +sd "$1" +crf "$work/report" > /dev/null 2>&1 || status=$?
	[ -e "$work/report" ] && awk '/^SOP Instance / { uid = $NF } /^DIMSE Status.*0x0000/ { print uid }' "$work/report" >> "$work/acknowledged"
	return $status
}

strike() { # after a random time: the daemon, or its worker
	local ms=$1 who=$2 victim
	read -rt "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" <> <(:) || true
	victim=$node_pid
	[ "$who" = daemon ] || victim=$(pgrep -P "$node_pid" | head -1) || true # none before the first job
	[ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null || true
}

# The row counts, not the line: a node killed between the two has said nothing, and the next one has nothing to do.
state_of() { curl -sS "http://$http/api/v1/jobs?study=$1" | jq -r '.jobs[0].state // "none"'; }
has_ended() { case $(state_of "$1") in done|failed|rejected) ;; *) return 1 ;; esac; }

for i in $(seq "$points"); do
	cp -r "$work/study" "$work/s$i"; another_study "$work/s$i" "$i"
	uid=$(dcmdump -q +P StudyInstanceUID "$work/s$i/0000.dcm" | sed 's/.*\[\(.*\)\].*/\1/')
	start_node "$work/segand.json"
	who=$([ $((RANDOM % 3)) = 0 ] && echo worker || echo daemon)
	ms=$((RANDOM % 2600))
	strike $ms $who & striker=$!
	sent=0; send "$work/s$i" || sent=$?
	wait "$striker"
	if [ $who = daemon ]; then wait "$node_pid" 2>/dev/null || true; start_node "$work/segand.json"; fi
	if [ "$sent" != 0 ] || [ "$(grep -c 0x0000 "$work/report" 2>/dev/null || echo 0)" != 26 ]; then send "$work/s$i" || fail "point $i: sending again"; fi
	for _ in $(seq 90); do
		has_ended "$uid" && break
		wait_line "$node_log" "job_(done|failed|rejected) job=[0-9]+ study=$uid" 2 "$node_pid" > /dev/null 2>&1 || true
	done
	same "point $i ($who after $ms ms): state of the job" "$(state_of "$uid")" "done"
	stop_node
	rm -rf "$work/s$i"
done

# ---- judged from outside
db() { sqlite3 -readonly "$work/data/segand.db" "$1"; }
same "integrity" "$(db 'pragma integrity_check')" ok
same "jobs that are not done" "$(db "select count(*) from jobs where state != 'done'")" 0
sort -u "$work/acknowledged" > "$work/acknowledged.uids"
same "acknowledged instances" "$(wc -l < "$work/acknowledged.uids")" $((26 * points))
db 'select sop_uid from instances' | sort -u > "$work/rows"
same "acknowledged instances without a row" "$(comm -23 "$work/acknowledged.uids" "$work/rows" | wc -l)" 0
while read -r uid; do
	name=$(printf '%s' "$uid" | sha256sum | cut -c 1-64)
	[ -s "$work/data/spool/${name:0:2}/$name.dcm" ] || fail "acknowledged instance $uid has no file"
done < "$work/acknowledged.uids"
/usr/bin/python3 - "$work/archive" "$points" <<'P' || fail "the archive"
import os, sys, pydicom, collections
found = collections.defaultdict(lambda: collections.defaultdict(set))
for f in os.listdir(sys.argv[1]):
    ds = pydicom.dcmread(os.path.join(sys.argv[1], f), stop_before_pixels=True)
    found[ds.StudyInstanceUID][ds.Modality].add(ds.SOPInstanceUID)
wanted = max((len(v['OT']) for v in found.values()), default=0)  # pictures: the same images, so the same number in every study
bad = [k for k, v in found.items() if (len(v['SEG']), len(v['SR']), len(v['OT'])) != (1, 1, wanted) or wanted == 0]
print(len(found), 'studies at the archive,', len(bad), 'with another number of results than one SEG, one report and', wanted, 'pictures')
sys.exit(bool(bad) or len(found) != int(sys.argv[2]))
P
[ -z "$(ls "$work/data/tmp")" ] || fail "temporary files are left: $(ls "$work/data/tmp" | wc -l)"
echo "$points points: nothing acknowledged was lost, the results of a study once each, no job stuck"
