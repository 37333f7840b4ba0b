#!/bin/bash
# All kinds of results through the node: each destination gets what its settings say, a report measures the SEG that arrived, where nothing is found a report may say so,
# and segan segment makes the same on files.
. "$(dirname "$0")/lib.sh"
report_check() { /usr/bin/python3 tests/tools/report_check.py "$@" > "$work/check" || { cat "$work/check"; fail "report_check $*"; }; }
# of MODALITY DIR: the files there of a modality
of() { local f; for f in "$2"/*; do dcmdump -q +P Modality "$f" | grep -q "\[$1" && echo "$f"; done; true; }

demo_study "$work/study"
cp -r "$work/study" "$work/second"
another_study "$work/second"
start_archive all; all_port=$archive_port
start_archive plain
mkdir "$work/web"
/usr/bin/python3 tests/tools/stow_receiver.py "$work/web" > "$work/web.log" 2>&1 & started+=($!)
web=$(wait_line "$work/web.log" '^port ' 60)
write_config "$work/segand.json" '.series_complete_trigger = 1 | .retry_delay = 1
	| .models = [{"name": "glioma-flair", "destinations": ["all", "plain", "web"], "empty_report": true}]
	| .destinations = {"all": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $all, "results": ["preview", "seg", "report", "rtstruct"]},
		"plain": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $plain},
		"web": {"type": "stow", "url": "http://127.0.0.1:\($web)/dicom-web", "results": ["seg", "report"]}} '"$(limits)" \
	--argjson all "$all_port" --argjson plain "$archive_port" --argjson web "${web#port }"
start_node "$work/segand.json"

# ---- a finding
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > /dev/null
job 1 > "$work/job1"
same "state" "$(jq -r .state "$work/job1")" "done"
same "kinds" "$(jq -r '[.results[].kind] | join(" ")' "$work/job1")" "seg report rtstruct preview"
same "deliveries" "$(jq -r '[.deliveries[].state] | join(" ")' "$work/job1")" "delivered delivered delivered"
same "objects at a destination by default" "$(find "$work/plain" -type f | wc -l) $(of SEG "$work/plain" | wc -l)" "1 1"
same "objects at the archive" "$(of SEG "$work/all" | wc -l) $(of SR "$work/all" | wc -l)" "1 1"
report_check "$(of SR "$work/all")" "$work/study" "$(of SEG "$work/all")"
valid "$(of SR "$work/all")"
/usr/bin/python3 tests/tools/rtstruct_check.py "$(of RTSTRUCT "$work/all")" "$work/study" "$(of SEG "$work/all")" > "$work/check" || { cat "$work/check"; fail "rtstruct_check"; }
valid "$(of RTSTRUCT "$work/all")"
mapfile -t pictures < <(of OT "$work/all")
same "pictures" "${#pictures[@]}" "$(jq '.results[3].instances' "$work/job1")"
colour=$(jq -r '.segments[0].colour' "model/shipped/glioma-flair/$(jq -r .model "$work/job1" | sed 's/.*@//')/model.json")
/usr/bin/python3 tests/tools/preview_check.py "${pictures[@]}" --source "$work/study" --seg "$(of SEG "$work/all")" --colour "$colour" > "$work/check" || { cat "$work/check"; fail "preview_check"; }
valid "${pictures[0]}"
report_check "$(of SR "$work/web")" "$work/study" "$(of SEG "$work/web")"
curl -sS -o "$work/report.dcm" "http://$http/api/v1/jobs/1/report"
cmp "$work/report.dcm" "$(of SR "$work/web")" || fail "/report gives another report than was sent"
same "UID of the report" "$(dcmdump -q +P SOPInstanceUID "$work/report.dcm" | grep -c -F "$(jq -r '.results[1].sop_instance_uid' "$work/job1")")" 1

# ---- the checker sees what is wrong
cp "$work/report.dcm" "$work/wrong.dcm"
dcmodify -q -nb -m "ContentSequence[9].ContentSequence[0].ContentSequence[1].UID=1.2.3" "$work/wrong.dcm"
! /usr/bin/python3 tests/tools/report_check.py "$work/wrong.dcm" "$work/study" "$(of SEG "$work/all")" > "$work/check" || fail "report_check takes another tracking UID"

# ---- the same on files
"$B/segan" segment "$work/study" -o "$work/f.dcm" --report "$work/f.sr.dcm" > "$work/words" 2> /dev/null || fail "segan segment --report"
report_check "$work/f.sr.dcm" "$work/study" "$work/f.dcm"
"$B/segan" segment "$work/study" -o "$work/f.rt.dcm" --format rtstruct --json > "$work/rt.json" 2> /dev/null || fail "segan segment --format rtstruct"
same "kinds of --format rtstruct" "$(jq -r '[.results[].kind] | join(" ")' "$work/rt.json")" rtstruct
valid "$work/f.rt.dcm"
/usr/bin/python3 tests/tools/rtstruct_check.py "$work/f.rt.dcm" "$work/study" "$work/f.dcm" --alone > "$work/check" || { cat "$work/check"; fail "rtstruct_check of --format rtstruct"; }

# ---- of an Enhanced file: outlines lie on its frames
case=TCGA_CS_4942_19970222
/usr/bin/python3 tests/tools/nifti2dicom.py "$work/single" "$case" "flair=tests/data/lgg/$case/flair.nii.gz" > /dev/null
/usr/bin/python3 tests/tools/mkenhanced.py "$work/single/flair" "$work/enhanced" order=shuffled
"$B/segan" segment "$work/enhanced" -o "$work/e.dcm" --report "$work/e.sr.dcm" > /dev/null 2>&1 || fail "segan segment of an Enhanced file"
"$B/segan" segment "$work/enhanced" -o "$work/e.rt.dcm" --format rtstruct > /dev/null 2>&1 || fail "segan segment --format rtstruct of an Enhanced file"
report_check "$work/e.sr.dcm" "$work/enhanced" "$work/e.dcm"
/usr/bin/python3 tests/tools/rtstruct_check.py "$work/e.rt.dcm" "$work/enhanced" "$work/e.dcm" --alone > "$work/check" || { cat "$work/check"; fail "rtstruct_check of an Enhanced file"; }
valid "$work/e.rt.dcm"
stop_node

# ---- nothing found: no SEG; the report that says so goes to those that get reports
mkdir -p "$work/models/glioma-flair"; cp -r model/shipped/glioma-flair/* "$work/models/glioma-flair/"
for file in "$work"/models/glioma-flair/*/model.json; do jq '.segments[0].minimum_ml = 1000' "$file" > "$work/m" && cp "$work/m" "$file"; done
jq --arg models "$work/models" '.models_dir = $models' "$work/segand.json" > "$work/none.json"
start_node "$work/none.json"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/second"
wait_line "$node_log" 'job_(done|failed|rejected) job=2 ' 120 "$node_pid" > /dev/null
job 2 > "$work/job2"
same "finding" "$(jq -r '.state + " " + .finding' "$work/job2")" "done none"
same "kinds of no finding" "$(jq -r '[.results[].kind] | join(" ")' "$work/job2")" "report"
same "its deliveries" "$(jq -r '[.deliveries[] | .destination + " " + .state] | join(", ")' "$work/job2")" "all delivered, web delivered"
same "objects at the archive now" "$(of SEG "$work/all" | wc -l) $(of SR "$work/all" | wc -l)" "1 2"
curl -sS -o "$work/none.dcm" "http://$http/api/v1/jobs/2/report"
report_check "$work/none.dcm" "$work/second"
valid "$work/none.dcm"
same "the SEG of no finding" "$(curl -sS -o /dev/null -w '%{http_code}' "http://$http/api/v1/jobs/2/seg")" 404
"$B/segan" segment "$work/study" -o "$work/n.dcm" --report "$work/n.sr.dcm" --models "$work/models" > /dev/null 2>&1 || fail "segan segment --report of no finding"
[ ! -e "$work/n.dcm" ] || fail "a SEG of nothing"
status=0; "$B/segan" segment "$work/study" -o "$work/n.dcm" --format rtstruct --report "$work/n.sr.dcm" > /dev/null 2>&1 || status=$?
same "exit status of a report without SEG" $status 2
report_check "$work/n.sr.dcm" "$work/study"
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/job1" "$work/job2" "$work/words"
echo "every destination gets what it is to get"
