#!/bin/bash
# Storage commitment of what was delivered: by Orthanc, whose report comes over an association of its own; by an archive of the tests that is silent, loses the object,
# and reports late, over a kill -9 of the node between request and report; by one that refuses for good, until retried; and not at all by storescp.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
node_port=$(free_port)
# ---- the archives
orthanc_port=$(free_port); orthanc_http=$(free_port)
while [ "$orthanc_http" = "$orthanc_port" ] || [ "$orthanc_http" = "$node_port" ]; do orthanc_http=$(free_port); done
mkdir "$work/orthanc"
cat > "$work/orthanc.json" <<EOF
{"StorageDirectory": "$work/orthanc", "IndexDirectory": "$work/orthanc", "DicomAet": "ORTHANC", "DicomPort": $orthanc_port, "HttpPort": $orthanc_http, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "Plugins": [], "DicomModalities": {"node": {"AET": "SEGAN", "Host": "127.0.0.1", "Port": $node_port, "AllowStorageCommitment": true}}}
EOF
Orthanc --verbose "$work/orthanc.json" > "$work/orthanc.log" 2>&1 & started+=($!)
until curl -sf "http://127.0.0.1:$orthanc_http/system" > /dev/null 2>&1; do kill -0 "${started[-1]}" || { cat "$work/orthanc.log"; fail "Orthanc does not start"; }; done
mkfifo "$work/tell"; exec 8<> "$work/tell"
/usr/bin/python3 tests/tools/commitment_archive.py 0 "127.0.0.1:$node_port" silent,0112,hold,silent < "$work/tell" > "$work/odd.log" 2>&1 & started+=($!)
/usr/bin/python3 tests/tools/commitment_archive.py 0 "127.0.0.1:$node_port" 0122,new < /dev/null > "$work/strict.log" 2>&1 & started+=($!)
odd=$(wait_line "$work/odd.log" '^port ' 60); strict=$(wait_line "$work/strict.log" '^port ' 60)
start_archive plain
write_config "$work/segand.json" '.dicom.port = $node | .series_complete_trigger = 1 | .retry_delay = 1 | .retry_max = 2 | .dicom.commitment_timeout = 2 | .dicom.commitment_wait = 1
	| .dicom.accept_unknown_peers = false | .dicom.peers = {"MR1": {"aet": "MR1", "host": "127.0.0.1"}}
	| .models = [{"name": "glioma-flair@0.1.0", "destinations": ["orthanc", "odd", "strict", "plain"]}]
	| ({"type": "dimse", "host": "127.0.0.1", "commitment": true, "timeout": 20}) as $d
	| .destinations = {"orthanc": ($d + {"aet": "ORTHANC", "port": $orthanc}), "odd": ($d + {"aet": "ODD", "port": $odd}), "strict": ($d + {"aet": "STRICT", "port": $strict}),
		"plain": ($d + {"aet": "ARCHIVE", "port": $plain})} '"$(limits)" \
	--argjson node "$node_port" --argjson orthanc "$orthanc_port" --argjson odd "${odd#port }" --argjson strict "${strict#port }" --argjson plain "$archive_port"
start_node "$work/segand.json"
state() { job 1 | jq -r --arg d "$1" '.deliveries[] | select(.destination == $d) | .state'; }
words() { job 1 | jq -r --arg d "$1" '.deliveries[] | select(.destination == $d) | .last_error'; }

# ---- who may report, and that nobody may ask us
echoscu -aet ORTHANC -aec SEGAN 127.0.0.1 "$dicom_port" || fail "an archive that is asked for commitment may not call"
file=$(find "$work/study" -type f | sort | head -n 1)
storescu -aet ORTHANC -aec SEGAN 127.0.0.1 "$dicom_port" "$file" > "$work/storescu.log" 2>&1 && fail "an archive that may only report stores"

dcmsend -q -aet MR1 -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" ' committed .*destination=orthanc' 120 "$node_pid" > /dev/null
wait_line "$node_log" 'delivery_refused .*destination=strict.*0x0122' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'commitment_not_offered .*destination=plain' 60 "$node_pid" > /dev/null
same "state at Orthanc" "$(state orthanc)" committed
same "state at one that refuses to answer for it" "$(state strict)" refused
same "state at one that offers none" "$(state plain)" delivered
holds "its words" "$(words plain)" 'offers no storage commitment'
grep -i 'badly formatted' "$work/orthanc.log" && fail "Orthanc does not like our answer"

# ---- silence is asked again, a lost object sent again; killed between request and report
wait_line "$work/odd.log" '^asked .* hold' 60 > /dev/null
kill -KILL "$node_pid"; wait "$node_pid" 2>/dev/null || true
same "the job before the report" "$(sqlite3 -readonly "$work/data/segand.db" 'select state from jobs')" delivering
[ "$(grep -c '^stored' "$work/odd.log")" = 2 ] || fail "the lost object was not sent again: $(cat "$work/odd.log")"
same "different objects" "$(grep '^stored' "$work/odd.log" | sort -u | wc -l)" 1
same "transactions are new each time" "$(grep '^asked' "$work/odd.log" | sort -u | wc -l)" "$(grep -c '^asked' "$work/odd.log")"
start_node "$work/segand.json"
echo report >&8
line=$(wait_line "$work/odd.log" '^reported .*' 60 | tail -n 1)
wait_line "$node_log" ' committed .*destination=odd' 60 "$node_pid" > /dev/null
transaction=$(awk '/ hold/ { print $2; exit }' "$work/odd.log")
wait_line "$work/odd.log" "^reported $transaction 0000" 60 > /dev/null || fail "the late report was not taken: $line"
same "state after the late report" "$(state odd)" committed
wait_line "$node_log" 'job_failed job=1 ' 60 "$node_pid" > /dev/null
holds "why the job failed" "$(job 1 | jq -r .reason)" 'strict'

# ---- retry: sent again, committed by a report over a new association
"$B/segan" jobs retry 1 --url "http://$http" > /dev/null || fail "retry"
wait_line "$node_log" ' committed .*destination=strict' 60 "$node_pid" > /dev/null
wait_line "$node_log" 'job_done job=1 ' 60 "$node_pid" > /dev/null
same "state after the retry" "$(state strict)" committed
same "objects at storescp" "$(find "$work/plain" -type f | wc -l)" 1
stop_node

# ---- the settings ask no more: what was open does not hold its job up
sqlite3 "$work/data/segand.db" "UPDATE jobs SET state = 'delivering' WHERE id = 1; UPDATE deliveries SET state = 'delivered' WHERE destination = 'odd';
	UPDATE commitments SET open = 1, next_ms = 0 WHERE delivery = (SELECT id FROM deliveries WHERE destination = 'odd')"
jq '.destinations.odd.commitment = false' "$work/segand.json" > "$work/without.json"
start_node "$work/without.json"
wait_line "$node_log" 'commitment_dropped .*destination=odd' 60 "$node_pid" > /dev/null
same "the job of a commitment that is asked for no more" "$(job 1 | jq -r .state)" done
stop_node
awk '/ committed .*destination=orthanc/ { n++ } / commitment_waits .*destination=orthanc/ && n { exit 1 }' "$node_log" || fail "a report that has come is waited for"
no_identity "$node_log" "$work/data/segand.db"
echo "committed where archives answer for it, asked and sent again where they do not"
