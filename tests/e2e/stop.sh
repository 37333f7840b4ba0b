#!/bin/bash
# Stopping: within 5 s and with status 0 whatever peers do, also with one that takes a connection and never answers; what was under way is taken up again.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
# Accepts and never says a word; says on which port, and when somebody came.
cat > "$work/silent.py" <<'P'
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(16)
print('port', s.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(s.accept()[0])
    print('came', len(kept), flush=True)
P
for name in dimse web; do /usr/bin/python3 "$work/silent.py" > "$work/$name.log" 2>&1 & started+=($!); done
dimse=$(wait_line "$work/dimse.log" '^port ' 60); web=$(wait_line "$work/web.log" '^port ' 60)
start_archive archive
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-flair", "destinations": ["archive", "dimse", "web"]}] | .log_level = "debug"
	| .destinations = {"dimse": {"type": "dimse", "aet": "SILENT", "host": "127.0.0.1", "port": $dimse}, "web": {"type": "stow", "url": "http://127.0.0.1:\($web)/web"},
		"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $archive}} '"$(limits)" \
	--argjson dimse "${dimse#port }" --argjson web "${web#port }" --argjson archive "$archive_port"
state() { job 1 | jq -r --arg d "$1" '.deliveries[] | select(.destination == $d) | .state'; }

# ---- idle; the other signal; while it is given the same signal again
start_node "$work/segand.json"; stop_node
start_node "$work/segand.json"
status=0; kill -INT "$node_pid"; wait "$node_pid" || status=$?; same "status after SIGINT" $status 0
start_node "$work/segand.json"
status=0; kill -TERM "$node_pid"; kill -TERM "$node_pid"; wait "$node_pid" || status=$?; same "status after two SIGTERM" $status 0

# ---- two peers hang
start_node "$work/segand.json"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$work/dimse.log" '^came 1' 120 "$node_pid" > /dev/null
wait_line "$work/web.log" '^came 1' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'delivered .*destination=archive' 60 "$node_pid" > /dev/null
same "state of the silent peer" "$(state dimse)" sending
# and a sender that opened an association, and one that only connected
exec 5<> "/dev/tcp/127.0.0.1/$dicom_port"; exec 6<> "/dev/tcp/${http%:*}/${http#*:}"; printf 'POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n' >&6
stop_node
exec 5>&- 6>&-
pids=$(ps -o pid= --ppid "$node_pid" || true); [ -z "$pids" ] || fail "processes are left: $pids"
start_node "$work/segand.json"
wait_line "$work/dimse.log" '^came 2' 60 "$node_pid" > /dev/null
wait_line "$work/web.log" '^came 2' 60 "$node_pid" > /dev/null
job 1 > "$work/job"
same "state after the restart" "$(jq -r .state "$work/job")" delivering
same "what was delivered stays so" "$(jq -r '.deliveries[] | select(.destination == "archive") | "\(.state) \(.attempts)"' "$work/job")" "delivered 1"
stop_node
same "objects at the archive" "$(find "$work/archive" -type f | wc -l)" 1

# ---- the worker computes, a body is half sent: nothing is lost, the next start goes on
another_study "$work/study" 2
start_node "$work/segand.json"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" 'job_running job=2 ' 60 "$node_pid" > /dev/null
stop_node
start_node "$work/segand.json"
wait_line "$node_log" 'delivered job=2 .*destination=archive' 120 "$node_pid" > /dev/null
stop_node
same "objects at the archive" "$(find "$work/archive" -type f | wc -l)" 2
no_identity "$node_log" "$work/data/segand.db" "$work/job"
echo "stops in time with status 0, and goes on"
