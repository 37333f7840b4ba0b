#!/bin/bash
# Retention: studies go by age, by size, and before the disk is full, with their files; kill -9 at its steps leaves nothing half done and takes nothing with it that was
# to stay; what is left says so (410, 409, "removed"), and what comes again is new. Nothing is segmented here.
. "$(dirname "$0")/lib.sh"
case $B in *asan*|*tsan*) named=no ;; *) named=yes ;; esac # what is preloaded must not come before a sanitizer

demo_study "$work/demo"
/usr/bin/python3 tests/tools/crash.py make "$work/demo" "$work/studies" 4 "$work/index"
rm "$work/studies/1/2.dcm" # of studies/1 .. 4, which are FLAIR; x1 .. x4 are CT, which no rule takes
config() { # JQ
	write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 2 | .models = [{"name": "glioma-flair@0.1.0"}] | '"$1"
}
sent() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/studies/$1"; }
db() { sqlite3 "$work/data/segand.db" "$1"; }
files() { find "$work/data/spool" -type f | wc -l; }
here() { # STUDY...: byte for byte, with their rows, and nothing else
	local study
	: > "$work/expected"
	for study in "$@"; do grep "/$study/" "$work/index" | cut -d' ' -f1 >> "$work/expected"; done
	/usr/bin/python3 tests/tools/crash.py acknowledged "$work/expected" "$work/index" "$work/data" || fail "what was to stay"
	same "files in the spool" "$(files)" "$(wc -l < "$work/expected")"
}

pause() { read -rt 0.1 <> <(:) || true; }
gone() { [ "$(files)" = 6 ] && [ "$(db 'select count(*) from leftovers' 2> /dev/null)" = 0 ]; }

# ---- by age, the node being killed at every step of it
config .
start_node "$work/segand.json"
for study in x1 x2 1; do sent $study; done
for uid in 2.25.8100001 2.25.8100002; do wait_line "$node_log" "series_ignored .*study=$uid" 30 "$node_pid" > /dev/null; done
wait_line "$node_log" 'job_rejected job=1 ' 30 "$node_pid" > /dev/null
stop_node
same "files before" "$(files)" 17
day=86400000
db "update series set last_ms = last_ms - 4 * $day where study_uid = '2.25.8100001'; update series set last_ms = last_ms - 15 * $day where study_uid = '2.25.7100001';
	update jobs set created_ms = created_ms - 15 * $day, finished_ms = finished_ms - 15 * $day;
	insert into audit(time_ms, event, type, action, outcome) values((select min(time_ms) from audit) - 2 * $day, 110101, 0, 'R', 0)"
struck=0
if [ $named = yes ]; then
	cc -D_GNU_SOURCE -shared -fPIC -o "$work/strike.so" tests/tools/strike.c -ldl
	for strike in write.wal:3:half unlink.spool:1:before unlink.spool:3:after fsync.spool:2:before unlink.spool:5:after fsync.spool:3:after write.wal:9:before; do
		STRIKE_AT=daemon.$strike STRIKE_DONE=$work/struck.$struck LD_PRELOAD=$work/strike.so start_node "$work/segand.json" 2> /dev/null || true # it may die before it is ready
		for n in $(seq 20); do kill -0 "$node_pid" 2> /dev/null && ! gone || break; pause; done
		kill -KILL "$node_pid" 2> /dev/null || true
		wait "$node_pid" 2> /dev/null || true
		[ ! -s "$work/struck.$struck" ] || struck=$((struck + 1))
	done
	[ "$struck" -ge 3 ] || fail "only $struck of the strikes came"
fi
start_node "$work/segand.json"
for n in $(seq 100); do ! gone || break; pause; done
here x2
same "what is left to do" "$(db 'select count(*) from leftovers')" 0
same "the audit trail" "$(db "select group_concat(study_uid) from (select study_uid from audit where event = 110105 order by study_uid)")" 2.25.7100001,2.25.8100001
holds "the log" "$(cat "$node_log")" 'study_removed study=2.25.8100001 why=unused instances=6 jobs=0 '
holds "the log" "$(cat "$node_log")" 'study_removed study=2.25.7100001 why=age instances=5 jobs=1 '
[ ! -e "$work/data/results/1" ] || fail "the results of job 1 are there"

# ---- what is left says so
same "the job" "$(job 1 | jq -r '.state, (.removed | type), .study_uid' | paste -sd ' ')" "rejected string 2.25.7100001"
for what in seg report preview.png; do
	same "status of $what" "$(curl -s -o "$work/answer" -w '%{http_code}' "http://$http/api/v1/jobs/1/$what")" 410
	holds "why" "$(jq -r .detail "$work/answer")" 'removed by retention at 20'
done
same "retry" "$(curl -s -o "$work/answer" -w '%{http_code}' -X POST "http://$http/api/v1/jobs/1/retry")" 409
holds "why" "$(jq -r .detail "$work/answer")" 'send the study again'
same "the series" "$(curl -s -o /dev/null -w '%{http_code}' "http://$http/api/v1/series/2.25.7100001.1/decision")" 404
metric() { curl -s "http://$http/metrics" | awk -v name="segand_$1" '$1 == name { print $2 }'; }
same "bytes" "$(metric spool_bytes)" "$(find "$work/data/spool" -type f -printf '%s\n' | paste -sd+ | bc)"

# ---- again: new instances, and what had no inputs that could be the same is looked at anew
sent 1
for n in $(seq 100); do [ "$(grep -c 'series_rejected .*study=2.25.7100001 ' "$node_log")" = 2 ] && break; pause; done
same "verdicts" "$(grep -c 'series_rejected .*study=2.25.7100001 ' "$node_log")" 2
same "duplicates" "$(metric instances_duplicate_total)" 0
wait_line "$node_log" 'job_rejected job=2 ' 30 "$node_pid" > /dev/null
same "jobs" "$(curl -s "http://$http/api/v1/jobs" | jq -r '.jobs[] | "\(.state) \(.removed == null)"' | paste -sd ' ')" "rejected true rejected false"
stop_node

# ---- by size: the oldest goes
config '.retention.max_mb = 1'
start_node "$work/segand.json"
wait_line "$node_log" 'study_removed study=2.25.8100002 why=size instances=6 ' 30 "$node_pid" > /dev/null
sent x3
wait_line "$node_log" 'study_removed study=2.25.7100001 why=size instances=5 ' 30 "$node_pid" > /dev/null
for n in $(seq 100); do [ "$(files)" != 6 ] || break; pause; done
here x3
same "removed" "$(metric instances_removed_total)" 11
stop_node

# ---- before the disk is full: where a limit allows it, and not where none is set
config '.disk_reserve_mb = 100000000'
start_node "$work/segand.json"
sent x4 2> /dev/null || true # refused
wait_line "$node_log" instance_refused 30 "$node_pid" > /dev/null
stop_node
here x3
config '.disk_reserve_mb = 100000000 | .retention.max_mb = 1000000'
start_node "$work/segand.json"
wait_line "$node_log" "study_removed study=2.25.8100003 why=disk " 30 "$node_pid" > /dev/null
stop_node
here
same "integrity" "$(db 'pragma integrity_check')" ok
same "the tally" "$(db "select n from tallies where name = 'bytes'")" 0

# ---- on a disk without a byte left, where the database cannot grow to say what goes
if mkdir "$work/disk" && mount -t tmpfs -o size=96m tmpfs "$work/disk" 2> /dev/null; then
	trap 'status=$?; set +e; stop_all; umount -l "$work/disk"; (exit $status); e2e_finish' EXIT
	config '.data_dir = "'"$work/disk/data"'" | .disk_reserve_mb = 1 | .retention.max_mb = 1000000'
	no_identity "$node_log"; node_log=$work/full.log
	start_node "$work/segand.json"
	for study in x1 x2; do sent $study; done
	wait_line "$node_log" 'series_ignored .*study=2.25.8100002' 30 "$node_pid" > /dev/null
	for n in $(seq 100); do [ ! -e "$work/disk/data/ballast" ] || break; pause; done
	{ dd if=/dev/zero of="$work/disk/filler" bs=64k || dd if=/dev/zero of="$work/disk/rest" bs=512; } 2> /dev/null || true
	sent x3 2> /dev/null || true # refused
	wait_line "$node_log" 'study_removed study=2.25.8100001 why=disk instances=6 ' 30 "$node_pid" > /dev/null
	stop_node
fi
no_identity "$node_log"
echo "$struck strikes"
