#!/bin/bash
# Delivery: a destination that is away gets the result when it comes back, one that refuses is recorded at once with its words, a restart forgets nothing,
# retry sends the same object, "sender" goes back to whoever sent.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
away_port=$(free_port)
mkdir "$work/web" "$work/no"
/usr/bin/python3 tests/tools/stow_receiver.py "$work/web" --status 503,0,200 > "$work/web.log" 2>&1 & started+=($!)
/usr/bin/python3 tests/tools/stow_receiver.py "$work/no" --status 409,200 > "$work/no.log" 2>&1 & started+=($!)
web=$(wait_line "$work/web.log" '^port ' 60); no=$(wait_line "$work/no.log" '^port ' 60)
start_archive scanner
write_config "$work/segand.json" '.series_complete_trigger = 1 | .retry_delay = 1 | .retry_max = 2 | .models = [{"name": "glioma-flair", "destinations": ["away", "web", "no", "back"]}]
	| .dicom.peers = {"scanner": {"aet": "SCANNER", "host": "127.0.0.1", "port": $scanner}}
	| .destinations = {"away": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $away}, "back": {"type": "sender"},
		"web": {"type": "stow", "url": "http://127.0.0.1:\($web)/dicom-web"}, "no": {"type": "stow", "url": "http://127.0.0.1:\($no)/dicom-web"}} '"$(limits)" \
	--argjson away "$away_port" --argjson web "${web#port }" --argjson no "${no#port }" --argjson scanner "$archive_port"
start_node "$work/segand.json"
state() { job 1 | jq -r --arg d "$1" '.deliveries[] | select(.destination == $d) | .state'; }

dcmsend -q -aet SCANNER -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" 'delivered .*destination=back' 120 "$node_pid" > /dev/null
wait_line "$node_log" 'delivered .*destination=web' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'delivery_refused .*destination=no' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'delivery_waits .*destination=away' 60 "$node_pid" > /dev/null
job 1 > "$work/job"
same "state while one is away" "$(jq -r .state "$work/job")" delivering
same "state of web" "$(state web)" delivered
holds "the line of one that came late" "$(grep ' delivered .*destination=web' "$node_log")" ' attempts=3( text=".*")?$'
same "state of no" "$(state no)" refused
holds "words of no" "$(jq -r '.deliveries[] | select(.destination == "no") | .last_error' "$work/job")" '0xA900'
holds "words of away" "$(jq -r '.deliveries[] | select(.destination == "away") | .last_error' "$work/job")" '127.0.0.1'
holds "attempts of web" "$(jq -r '.deliveries[] | select(.destination == "web") | .attempts' "$work/job")" '^3$'
uid=$(jq -r '.results[0].sop_instance_uid' "$work/job")
grep -q -a -r -F "$uid" "$work/scanner" || fail "the sender did not get the SEG back"

# ---- a restart in between; then the archive is there
kill -KILL "$node_pid"; wait "$node_pid" 2>/dev/null || true
start_node "$work/segand.json"
mkdir "$work/archive"
storescp --bit-preserving -od "$work/archive" "$away_port" > "$work/archive.log" 2>&1 & started+=($!)
wait_line "$node_log" 'delivered .*destination=away' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'job_failed job=1 ' 60 "$node_pid" > /dev/null
same "job with a refused delivery" "$(job 1 | jq -r .state)" failed
holds "its reason" "$(job 1 | jq -r .reason)" 'no'

# ---- retry: the same object again, only where it is missing
"$B/segan" jobs retry 1 --url "http://$http" > /dev/null || fail "retry"
wait_line "$node_log" 'delivered .*destination=no' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'job_done job=1 ' 60 "$node_pid" > /dev/null
[ -s "$work/no/$uid.dcm" ] || fail "the retried delivery sent another object"
same "objects at the archive" "$(find "$work/archive" -type f | wc -l)" 1
same "objects at the web receiver" "$(find "$work/web" -type f | wc -l)" 1

# ---- retry of a finished job is a new run in a new job, with new UIDs
"$B/segan" jobs retry 1 --url "http://$http" > "$work/second.json" || fail "retry of a finished job"
second=$(jq -r .id "$work/second.json")
same "run of the new job" "$(jq -r .run "$work/second.json")" 2
wait_line "$node_log" "job_done job=$second " 60 "$node_pid" > /dev/null
[ "$(job "$second" | jq -r '.results[0].sop_instance_uid')" != "$uid" ] || fail "a new run has the UIDs of the old one"
same "the old job" "$(job 1 | jq -r .state)" done
status=0; "$B/segan" jobs cancel 1 --url "http://$http" > /dev/null 2>&1 || status=$?
same "cancel of a finished job" $status 1
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/job"
echo "deliveries wait, are refused, resumed, retried"
