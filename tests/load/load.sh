#!/bin/bash
# The node under load for MINUTES: 4 DIMSE associations and 4 STOW senders (90 instances a second together, of which a study every two seconds gets a job), 50 REST
# readers (5 requests a second each) while jobs run. Wanted: no error, p99 of the reads under 50 ms, memory flat (last third against first), every acknowledged
# instance there, every job done. Prints the figures; exit 1 when one is missed.
#   MINUTES=10 tests/load/load.sh     (make load)
. tests/e2e/lib.sh
minutes=${MINUTES:-10} seconds=$((${MINUTES:-10} * 60))
missed=0
figure() { # NAME GOT TEST WANTED
	local word=good
	awk "BEGIN { exit !($2 $3 $4) }" || { word=MISSED; missed=1; }
	printf '%-42s %12s   wanted %s %s   %s\n' "$1" "$2" "$3" "$4" "$word"
}

demo_study "$work/study"
cc -std=c11 -D_GNU_SOURCE -O2 -pthread -o "$work/reader" tests/load/reader.c
write_config "$work/segand.json" '.series_complete_trigger = 2 '"$(limits)"
start_node "$work/segand.json"
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$node_pid/status"; }
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study" # the readers' first job
wait_line "$node_log" 'job_done job=1 ' 120 "$node_pid" > /dev/null

senders=()
for i in 1 2 3 4 5 6 7 8; do
	how=$([ "$i" -le 4 ] && echo dimse || echo stow) port=$([ "$i" -le 4 ] && echo "$dicom_port" || echo "${http##*:}")
	/usr/bin/python3 tests/load/sender.py $how "$i" "$port" "$work/study" $seconds 2.667 6 "$work/sent.$i" > "$work/sender.$i" 2> "$work/sender.$i.err" & senders+=("$!")
	started+=("$!")
done
coproc READER { exec "$work/reader" "${http##*:}" 50 5 /api/v1/jobs "/api/v1/jobs?state=done&limit=10" /api/v1/jobs/1 /api/v1/jobs/1/report /health /metrics /api/v1/models; } 2> "$work/reader.err"
reader_pid=$READER_PID reader_out=${READER[0]} reader_in=${READER[1]}
started+=("$reader_pid")

began=$SECONDS
while [ $((SECONDS - began)) -lt $seconds ] && kill -0 "$node_pid"; do
	echo "$((SECONDS - began)) $(rss) $(find "/proc/$node_pid/fd" -mindepth 1 2> /dev/null | wc -l)" >> "$work/rss"
	read -rt 1 <> <(:) || true
done
kill -0 "$node_pid" || fail "the node has ended"
exec {reader_in}>&-
read -r _ answers _ errors _ p50 _ p99 _ longest <&"$reader_out"
for pid in "${senders[@]}"; do wait "$pid" || true; done

# ---- figures
cat "$work"/sent.* | sort -u > "$work/acknowledged"
awk '{ n += $4; e += $6 } END { print n, e }' "$work"/sender.[1-8] > "$work/totals"; read -r sent refused < "$work/totals"
read -r first last fds < <(awk -v s=$seconds '$1 >= s / 10 && $1 < s / 3 { a += $2; n++ } $1 >= s * 2 / 3 { b += $2; m++ } { if ($3 > f) f = $3 } END { printf "%.0f %.0f %d\n", a / n, b / m, f }' "$work/rss")
jobs_left() { curl -sS "http://$http/metrics" | awk '/^segand_jobs\{state="(receiving|queued|running|delivering)"\}/ { n += $2 } END { print n + 0 }'; }
left=$(jobs_left)
for _ in $(seq 300); do [ "$(jobs_left)" != 0 ] || break; read -rt 1 <> <(:) || true; done
lost=$(/usr/bin/python3 - "$work/acknowledged" "$work/data" <<'P'
import hashlib, os, sqlite3, struct, sys
rows = dict(sqlite3.connect('file:%s/segand.db?mode=ro' % sys.argv[2], uri=True).execute('SELECT sop_uid, digest FROM instances'))
lost = 0
for uid, digest in (line.split() for line in open(sys.argv[1])):
    name = hashlib.sha256(uid.encode()).hexdigest()
    path = '%s/spool/%s/%s.dcm' % (sys.argv[2], name[:2], name)
    raw = open(path, 'rb').read() if os.path.exists(path) else b'\0' * 144
    lost += rows.get(uid) != digest or hashlib.sha256(raw[144 + struct.unpack('<L', raw[140:144])[0]:]).hexdigest() != digest
print(lost)
P
)
echo "$minutes minutes: $sent instances sent, $(wc -l < "$work/acknowledged") acknowledged; $answers reads, median $p50 ms, longest $longest ms; at most $fds files open; $left jobs left at the end"
figure "errors of the readers" "$errors" == 0
figure "instances that were not acknowledged" "$refused" == 0
figure "acknowledged instances that are lost" "$lost" == 0
figure "p99 of the reads, ms" "$p99" "<" 50
figure "memory, last third / first third, kB" "$last" "<" "$first * 1.05 + 4096"
figure "jobs done" "$(curl -sS "http://$http/metrics" | awk '/^segand_jobs\{state="done"\}/ { print $2 }')" ">" "$((minutes * 20))"
figure "jobs not done" "$(curl -sS "http://$http/metrics" | awk '/^segand_jobs\{/ && !/"done"/ { n += $2 } END { print n + 0 }')" == 0
head -q -n 5 "$work"/*.err
stop_node
exit $missed
