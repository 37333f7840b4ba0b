#!/bin/bash
# The main job with peers that we did not write: dcmsend and curl send, storescp and a Python STOW-RS service receive; seg_check.py and dciodvfy judge.
. "$(dirname "$0")/lib.sh"

demo_study "$work/first"
cp -r "$work/first" "$work/second"
another_study "$work/second"
start_archive archive
mkdir "$work/stow"
/usr/bin/python3 tests/tools/stow_receiver.py "$work/stow" > "$work/receiver.log" 2>&1 &
receiver=$!; started+=("$receiver")
stow_port=$(wait_line "$work/receiver.log" '^port ' 60 "$receiver"); stow_port=${stow_port#port }
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-flair", "destinations": ["archive", "web"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port},
		"web": {"type": "stow", "url": "http://127.0.0.1:\($stow)/dicom-web"}} '"$(limits)" --argjson port "$archive_port" --argjson stow "$stow_port"
start_node "$work/segand.json"

same "health" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$http/health")" 200
same "ready" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$http/ready")" 200

# ---- in over C-STORE, out over both ways
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/first" +crf "$work/report"
same "instances with status SUCCESS" "$(grep -c '0x0000' "$work/report")" 26
wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > /dev/null
job 1 > "$work/job1"
same "state" "$(jq -r .state "$work/job1")" done
same "finding" "$(jq -r .finding "$work/job1")" present
same "keys, in the order of the contract" "$(jq -r 'keys_unsorted | join(" ")' "$work/job1")" \
	"id state study_uid model channels priority case_version run attempt created started finished progress reason finding flags segments results deliveries timings_ms"
same "deliveries" "$(jq -r '[.deliveries[].state] | join(" ")' "$work/job1")" "delivered delivered"
uid=$(jq -r '.results[0].sop_instance_uid' "$work/job1")
[ -s "$work/stow/$uid.dcm" ] || fail "the SEG did not reach the STOW-RS receiver"
seg=$(grep -l -a -F "$uid" "$work/archive"/*)
data_set() { dcmdump -q +L "$1" | grep -v '^(0002,'; } # a receiver writes a meta header of its own
cmp <(data_set "$seg") <(data_set "$work/stow/$uid.dcm") || fail "the two receivers hold different bytes"

# ---- the result is right: the place, the checker, the standard
/usr/bin/python3 tests/tools/seg_check.py "$seg" "$work/first" --stats > "$work/check" || { cat "$work/check"; fail "seg_check"; }
jq -e '.segments[0].volume_ml > 18 and .segments[0].volume_ml < 35' "$work/job1" > /dev/null || fail "volume: $(jq -c .segments "$work/job1"), about 25 ml expected"
valid "$seg"
dcmdump -q "$seg" > /dev/null || fail "dcmdump"
dcm2json "$seg" > /dev/null || fail "dcm2json"

# ---- the same over HTTP, as another study
stow_body "$work/body" "$work/second"/*
answer=$(stow "$work/body")
same "STOW-RS status" "${answer##*$'\n'}" 200
same "referenced instances" "$(head -n -1 <<< "$answer" | jq '.["00081199"].Value | length')" 26
wait_line "$node_log" 'job_(done|failed|rejected) job=2 ' 120 "$node_pid" > /dev/null
job 2 > "$work/job2"
same "state of the second" "$(jq -r .state "$work/job2")" done
same "segments of the second" "$(jq -c .segments "$work/job2")" "$(jq -c .segments "$work/job1")"
curl -sS -o "$work/seg2.dcm" "http://$http/api/v1/jobs/2/seg"
/usr/bin/python3 tests/tools/seg_check.py "$work/seg2.dcm" "$work/second" > "$work/check" || { cat "$work/check"; fail "seg_check of the second"; }
curl -sS -o "$work/preview.png" "http://$http/api/v1/jobs/2/preview.png"
holds "preview" "$(head -c 8 "$work/preview.png" | od -An -c)" 'P +N +G'

# ---- sent again: acknowledged, nothing new
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/first" +crf "$work/report"
same "SUCCESS for known instances" "$(grep -c '0x0000' "$work/report")" 26
answer=$(stow "$work/body"); same "STOW-RS of known instances" "${answer##*$'\n'}" 200
series=$(jq -r .channels.flair "$work/job1")
curl -sS "http://$http/api/v1/series/$series/decision" > "$work/decision"
same "the decision's channel" "$(jq -r .channel "$work/decision")" flair
"$B/segan" jobs list --url "http://$http" > "$work/list"
same "jobs in the list" "$(grep -c 'glioma-flair@' "$work/list")" 2
curl -sS "http://$http/metrics" > "$work/metrics"
holds "metrics" "$(cat "$work/metrics")" '^segand_'
curl -sS "http://$http/api/v1/models" | jq -e '.models | length > 0' > /dev/null || fail "models"
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/job1" "$work/decision" "$work/list" "$work/metrics"
find "$work/data" | grep -E 'FG-6692|Public' && fail "a patient's name is in a file name"
echo "the main job works in both directions"
