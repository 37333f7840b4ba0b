#!/bin/bash
# The disk fails: a call at one place of the program (ENOSPC, EIO; tests/faults), all of it by being full or read-only, early by disk_reserve_mb. Nothing that was
# acknowledged is lost, nothing crashes, and the node goes on by itself when it is over.
#   POINTS=0 tests/e2e/faults.sh     every place (make faults); POINTS=n SEED=s a sample
. "$(dirname "$0")/lib.sh"
points=${POINTS:-3} seed=${SEED:-$RANDOM}

demo_study "$work/all"; mkdir "$work/study"; cp "$work"/all/001[2-5].dcm "$work/study/"
for i in 2 3 4; do cp -r "$work/study" "$work/study$i"; another_study "$work/study$i" "$i"; done
start_archive archive

# ---- every call, or some of them
case $B in
*asan*|*tsan*) echo "single calls are not made to fail here: a sanitizer wraps the same calls" ;;
*) mkdir "$work/faults"; SEGAN_MODELS=${SEGAN_MODELS:-$PWD/model/shipped} /usr/bin/python3 tests/faults/faults.py "$work/faults" "$B" "$work/study" "$points" "$seed" ;;
esac

# ---- the reserve: refused early, while jobs and deliveries go on
config() { write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 1 | .log_level = "debug" | .data_dir = $dir | .disk_reserve_mb = ($reserve | tonumber)
	| .models = [{"name": "glioma-flair@0.1.0", "destinations": ["archive"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port}} '"$(limits)" --argjson port "$archive_port" --arg dir "$1" --arg reserve "$2"; }
send() { # DIR: prints the statuses that came
	rm -f "$work/report"
	dcmsend -q -aec SEGAN -to 10 -ta 10 -td 30 127.0.0.1 "$dicom_port" +sd "$1" +crf "$work/report" > /dev/null 2>&1 || true
	{ sed -n 's/^DIMSE Status *: *\(0x[0-9a-f]*\).*/\1/p' "$work/report" 2> /dev/null || true; } | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'
}
state() { curl -sS "http://$http/api/v1/jobs" | jq -r --arg s "$1" '[.jobs[] | select(.study_uid | endswith($s))][0].state // "none"'; }

acknowledged_is_there() { # DATA: every file of the studies that the database knows is in the spool, byte for byte behind its meta information; prints how many
	/usr/bin/python3 - "$1" "$work"/study* <<'PY'
import glob, hashlib, os, sqlite3, struct, sys, pydicom
data = sys.argv[1]
known = {u for u, in sqlite3.connect('file:%s/segand.db?mode=ro' % data, uri=True).execute('select sop_uid from instances')}
def body(path):
    b = open(path, 'rb').read()
    return b[144 + struct.unpack('<I', b[140:144])[0]:]
n = 0
for f in sorted(f for d in sys.argv[2:] for f in glob.glob(d + '/*.dcm')):
    uid = pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID
    name = hashlib.sha256(uid.encode()).hexdigest()
    if uid in known:
        n += 1
        if body(os.path.join(data, 'spool', name[:2], name + '.dcm')) != body(f):
            sys.exit('%s has other bytes' % uid)
print(n)
PY
}

if ! { mkdir "$work/disk" && mount -t tmpfs -o size=64m tmpfs "$work/disk"; } 2> /dev/null; then
	config "$work/data" 1000000000
	start_node "$work/segand.json"
	same "statuses below the reserve" "$(send "$work/study")" "1 0xa700"
	stop_node
	echo "a full disk, and room that comes back: not run, no right to mount a tmpfs (needs root)"
	exit 0
fi
trap 'status=$?; set +e; umount -l "$work/disk" 2> /dev/null; (exit $status); e2e_finish' EXIT

config "$work/disk/data" 40
start_node "$work/segand.json"
same "statuses with room" "$(send "$work/study")" "4 0x0000"
dd if=/dev/zero of="$work/disk/filler" bs=1M count=30 status=none
holds "statuses below the reserve" "$(send "$work/study2")" '^[1-4] 0xa700$'
stow_body "$work/body" "$work"/study2/*
curl -sS -X POST -H 'Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo' --data-binary "@$work/body" -D "$work/head" -o "$work/answer" \
	"http://$http/dicom-web/studies"
holds "answer below the reserve" "$(tr -d '\r' < "$work/head" | tr '\n' ' ')" '503 .*[Rr]etry-[Aa]fter: [1-9]'
holds "why" "$(cat "$work/answer")" 'disk_reserve_mb'
same "ready below the reserve" "$(curl -sS -o "$work/answer" -w '%{http_code}' "http://$http/ready")" 503
wait_line "$node_log" 'job_done job=1 ' 60 "$node_pid" > /dev/null # though nothing new is taken
same "objects at the archive" "$(find "$work/archive" -type f | wc -l)" 1
rm "$work/disk/filler"
same "statuses when there is room again" "$(send "$work/study2")" "4 0x0000"
wait_line "$node_log" 'job_done job=2 ' 60 "$node_pid" > /dev/null
stop_node

# ---- a disk of a few MiB without a reserve, full to the last byte at random moments
umount "$work/disk"; mount -t tmpfs -o size=6m tmpfs "$work/disk"
config "$work/disk/data" 0
node_log=$work/small.log
start_node "$work/segand.json"
RANDOM=$seed
for i in "" 2 3 4; do
	send "$work/study$i" > /dev/null & sender=$!
	read -rt "0.$((RANDOM % 4))$((RANDOM % 10))" <> <(:) || true
	dd if=/dev/zero of="$work/disk/filler" bs=4k status=none 2> /dev/null || true
	wait "$sender"
	read -rt "0.$((RANDOM % 10))$((RANDOM % 10))" <> <(:) || true
	rm "$work/disk/filler"
	for _ in 1 2 3 4 5; do [ "$(send "$work/study$i")" != "4 0x0000" ] || break; done
	same "statuses of study $i when there is room again" "$(send "$work/study$i")" "4 0x0000"
done
for i in 1 2 3 4; do wait_line "$node_log" "job_done job=$i " 60 "$node_pid" > /dev/null; done
stop_node
same "instances that are there" "$(acknowledged_is_there "$work/disk/data")" 16
same "integrity" "$(sqlite3 -readonly "$work/disk/data/segand.db" 'pragma integrity_check')" ok
same "jobs" "$(sqlite3 -readonly "$work/disk/data/segand.db" "select count(*), sum(state = 'done') from jobs")" "4|4"
no_identity "$node_log" "$work/disk/data/segand.db" "$work/answer"
echo "full, read-only and failing disks: nothing lost, nothing crashed, no restart"
