#!/bin/bash
# When the database is broken, gone, taken away under the node's feet, or held by another: said, refused, never overwritten; rebuilt by `segan spool reindex`, put back
# by `segan restore` from what `segan backup` made of a running node. Results keep their UIDs, and no UID ever has two contents.
. "$(dirname "$0")/lib.sh"

demo_study "$work/all"; mkdir "$work/study"; cp "$work"/all/001[2-5].dcm "$work/study/"
for i in 2 3 4 5; do cp -r "$work/study" "$work/study$i"; another_study "$work/study$i" "$i"; done
start_archive archive
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 1 | .log_level = "debug"
	| .models = [{"name": "glioma-flair@0.1.0", "destinations": ["archive"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port}} '"$(limits)" --argjson port "$archive_port"
sed "s,\"$work/data\",\"$work/other\"," "$work/segand.json" > "$work/other.json"
segan() { "$B/segan" "$@" --config "$work/segand.json"; }
db() { sqlite3 -readonly "$work/data/segand.db" "$1"; }
send() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$1"; }
refused() { # STATUS WORDS COMMAND...: fails with the status and says so
	local wanted=$1 words=$2 status=0; shift 2
	"$@" > "$work/refused" 2>&1 || status=$?
	same "status of $*" "$status" "$wanted"
	holds "what $* says" "$(cat "$work/refused")" "$words"
}
node_refuses() { refused 1 "$1" timeout 60 "$B/segand" --config "$work/segand.json"; }
since() { tail -n "+$((mark + 1))" "$node_log" | sed 's/^/ /'; } # of the log since the last mark
wait_since() {
	local found
	found=$(timeout 60 tail -n "+$((mark + 1))" -F --pid="$node_pid" "$node_log" 2>/dev/null | grep -m 1 -E -- "$1") || true # tail is cut off by grep's end
	[ -n "$found" ] || fail "no line \"$1\""
}
mark() { mark=$(wc -l < "$node_log"); }

# ---- one node a data_dir; a backup while it runs and receives
start_node "$work/segand.json"
send "$work/study"
wait_line "$node_log" 'job_done job=1 ' 60 "$node_pid" > /dev/null
first=$(sha256sum "$work"/archive/*)
refused 1 "process.*$node_pid.* works in" "$B/segand" --config "$work/segand.json"
refused 1 "$node_pid.* works in" segan spool reindex
refused 1 "$node_pid.* works in" segan restore "$work/nowhere"
send "$work/study2" & sender=$!
segan backup "$work/backup" > "$work/said"
wait "$sender"
holds "what the backup says" "$(cat "$work/said")" '[1-9][0-9]* instances, [12] jobs'
refused 1 "not empty" segan backup "$work/backup"
ln -s "$work/data" "$work/elsewhere"
refused 1 "lies in .*best on another disk" segan backup "$work/elsewhere/backup"
[ ! -e "$work/data/backup" ] || fail "a backup that was refused left a folder"
segan backup "$work/linked" --link > /dev/null
in_backup() { sqlite3 -readonly "$1/segand.db" 'select sop_uid, size from instances' -separator ' ' | while read -r uid size; do
	name=$(printf '%s' "$uid" | sha256sum | cut -c 1-64)
	same "size of $uid in $1" "$(stat -c %s "$1/spool/${name:0:2}/$name.dcm")" "$size"
done; }
in_backup "$work/backup"; in_backup "$work/linked"
same "integrity of the backup" "$(sqlite3 -readonly "$work/backup/segand.db" 'pragma integrity_check')" ok
same "node id in the backup" "$(cat "$work/backup/node-id")" "$(cat "$work/data/node-id")"
cmp "$work/backup/results/1/seg.dcm" "$work/data/results/1/seg.dcm"
wait_line "$node_log" 'job_done job=2 ' 60 "$node_pid" > /dev/null

# ---- taken away, or held by another, under way
mark
mv "$work/data/segand.db" "$work/away"
! dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study3" 2> /dev/null || fail "acknowledged without a database"
holds "log" "$(since)" 'segand.db was removed while segand runs'
same "ready without its database" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$http/ready")" 503
mv "$work/away" "$work/data/segand.db"
same "ready again" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$http/ready")" 200
mv "$work/data/spool" "$work/away"
same "ready without its spool" "$(curl -sS -o "$work/answer" -w '%{http_code}' "http://$http/ready")" 503
holds "why" "$(jq -r .detail "$work/answer")" 'writing into .*/spool: '
mv "$work/away" "$work/data/spool"
/usr/bin/python3 -c '
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("begin immediate"); print("held", flush=True); sys.stdin.read(); c.execute("rollback")' "$work/data/segand.db" < <(read -rt 1.5 <> <(:) || true) > "$work/held.log" & holder=$!
wait_line "$work/held.log" held 20 > /dev/null
send "$work/study3"
wait "$holder"
same "rows of the third study" "$(db "select count(*) from instances where study_uid like '%.3'")" 4
wait_line "$node_log" 'job_done job=3 ' 60 "$node_pid" > /dev/null
stop_node
same "objects at the archive" "$(find "$work/archive" -type f | wc -l)" 3

# ---- broken: refused, not a byte changed, rebuilt
cp "$work/data/segand.db" "$work/good.db"
dd if=/dev/urandom of="$work/data/segand.db" bs=4096 seek=1 count=12 conv=notrunc status=none
broken=$(sha256sum < "$work/data/segand.db")
node_refuses 'segand.db is damaged.*segan restore.*segan spool reindex'
same "the broken database" "$(sha256sum < "$work/data/segand.db")" "$broken"
segan spool reindex > "$work/said" 2> "$work/said.err"
holds "what reindex says" "$(cat "$work/said")" '12 files in the spool, 12 instances added, 3 computed jobs added, 0 files left out'
same "the broken database is kept" "$(sha256sum < "$(find "$work/data" -name 'segand.db.broken-*Z')")" "$broken"
mark
start_node "$work/segand.json"
wait_since 'series_complete .*[.]3 '
same "jobs after the rebuild" "$(curl -sS "http://$http/api/v1/jobs" | jq -c '[.jobs[] | [.id, .state, .results[0].sop_instance_uid]]')" \
	"$(sqlite3 "$work/good.db" 'select id, results from jobs order by id desc' -json | jq -c '[.[] | [.id, "failed", (.results | fromjson | .[0].sop_instance_uid)]]')"
holds "why" "$(job 1 | jq -r .reason)" 'nobody knows whether the result was delivered'
same "node id" "$(db 'select id from node')" "$(cat "$work/data/node-id")"
mark
"$B/segan" jobs retry 1 --url "http://$http" > /dev/null
wait_since 'job_done job=1 '
same "sent again: the same object" "$(sha256sum -c --quiet <<< "$first" 2>&1; find "$work/archive" -type f | wc -l)" 3

# ---- killed, and the database's log gone: what was acknowledged is found in the spool
send "$work/study4"
wait_since 'job_done job=4 '
{ kill -KILL "$node_pid"; wait "$node_pid"; } 2> /dev/null || true
db 'select 1' > /dev/null
[ -s "$work/data/segand.db-wal" ] || fail "there is no log to remove"
rm "$work/data/segand.db-wal" "$work/data/segand.db-shm"
refused 1 'segand.db-wal is not there though segand works or was killed' segan backup "$work/nolog"
start_node "$work/segand.json"
holds "log" "$(since)" 'database_log_gone'
same "rows of the fourth study" "$(db "select count(*) from instances where study_uid like '%.4'")" 4
same "its job" "$(job 4 | jq -r '.state[0:4]')" fail
send "$work/study5"
wait_since 'job_done job=5 '
fifth=$(db 'select results from jobs where id = 5' | jq -r '.[0].sop_instance_uid')
stop_node

# ---- gone: missed; put back
rm "$work/data/segand.db"
node_refuses 'segand.db is gone.*segan restore.*segan spool reindex'
[ ! -e "$work/data/segand.db" ] || fail "a silent empty database"
refused 1 'not empty' segan restore "$work/backup"
refused 1 'backup.json is not there' segan restore "$work/study" --force
case $B in
*asan*|*tsan*) ;; # what is preloaded must not come before a sanitizer
*) # killed when the first file was moved aside: the new one must not be started with half of the old
	cp "$work/backup/segand.db" "$work/data/"; touch "$work"/data/other-{1..30} # so that it hardly comes first by chance
	cc -D_GNU_SOURCE -shared -fPIC -o "$work/strike.so" tests/tools/strike.c -ldl
	STRIKE_AT=segan.rename.aside:1:after STRIKE_DONE=$work/struck LD_PRELOAD=$work/strike.so "$B/segan" restore "$work/backup" --force --config "$work/segand.json" > /dev/null 2>&1 || true
	[ -s "$work/struck" ] || fail "segan restore was not struck"
	node_refuses 'segand.db is gone.*segan restore'
	rm -r "$work"/data/replaced-* ;;
esac
segan restore "$work/backup" --force > "$work/said"
[ -d "$(find "$work/data" -maxdepth 1 -name 'replaced-*')/spool" ] || fail "what was there is not kept"
[ "$(db 'select epoch from node')" != "$(sqlite3 -readonly "$work/backup/segand.db" 'select epoch from node')" ] || fail "no new epoch"
mark
start_node "$work/segand.json"
same "the first job" "$(job 1 | jq -r '"\(.state) \(.deliveries[0].state)"')" "done delivered"
send "$work/study5"
wait_since 'job_done .*[.]5( |$)'
again=$(curl -sS "http://$http/api/v1/jobs" | jq -r '[.jobs[] | select(.study_uid | endswith(".5"))][0].results[0].sop_instance_uid')
[ "$again" != "$fifth" ] || fail "two contents under $again"
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/said" "$work/backup/segand.db" "$work/backup/results/1/job.json" "$work/refused"

# ---- into an empty data_dir; a newer one
"$B/segan" restore "$work/linked" --config "$work/other.json" > /dev/null
same "node id of the restored one" "$(cat "$work/other/node-id")" "$(cat "$work/data/node-id")"
rm -r "$work/other"
into_other() { "$B/segan" restore "$1" --config "$work/other.json"; }

# ---- a backup that is not whole, or of two nodes; one of a node that has lost a file says so and goes back
one=$(find "$work/linked" -name '*.dcm' -path '*spool*' | head -n 1)
mv "$one" "$work/one"
refused 1 'is not whole: 1 of its' into_other "$work/linked"
mv "$work/one" "$one"
cp "$work/linked/node-id" "$work/id"; rm "$work/linked/node-id"; tr 0-9a-f 1-9a-f0 < "$work/id" > "$work/linked/node-id"
refused 1 'are of two nodes' into_other "$work/linked"
cp "$work/id" "$work/linked/node-id"
[ ! -e "$work/other/segand.db" ] || fail "a backup that is not whole was put in place"
one=$(find "$work/data/spool" -name '*.dcm' | head -n 1)
rm "$one"
mkdir -m 777 "$work/lossy"
(umask 000; segan backup "$work/lossy" > "$work/said" 2> "$work/said.err")
holds "a lost file" "$(cat "$work/said.err")" 'has lost its spool file in the node'
same "lost, by its mark" "$(jq .lost "$work/lossy/backup.json")" 1
same "what others may in a backup" "$(find "$work/lossy" -perm /077)" ""
into_other "$work/lossy" > /dev/null
rm -r "$work/other"
sqlite3 "$work/linked/segand.db" 'pragma user_version = 999'
refused 1 'newer segand' "$B/segan" restore "$work/linked" --config "$work/other.json"
[ -z "$(find "$work/other" -name '*.dcm')" ] || fail "a newer backup was put in place"
sqlite3 "$work/data/segand.db" 'pragma user_version = 999'
cp "$work/data/segand.db" "$work/newer.db"
segan spool reindex > "$work/said" 2> "$work/said.err"
holds "what reindex says" "$(cat "$work/said")" 'is of a newer segand: a new one is made'
kept=$(sed -n 's/.* is kept as //p' "$work/said.err")
same "the newer database is kept" "$(sha256sum < "$kept")" "$(sha256sum < "$work/newer.db")"
mark
start_node "$work/segand.json"
stop_node
echo "broken, gone, held, newer: said and put right; results keep their UIDs"
