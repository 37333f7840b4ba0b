#!/bin/bash
# Whose images they are stays in the images: canaries in every field that identifies a person stand in no line of the log at any level, no error, no metric, no
# file's name, no column of the database, no argument and no environment of a process; and what the node keeps is for its user alone. All ways are gone: a job
# that is done and delivered, one that is rejected, refusals at both doors, rules that ask for what identifies.
. "$(dirname "$0")/lib.sh"

demo_study "$work/demo"
canaries=$(tests/tools/mkcanary.py "$work/demo" "$work/study" 91 | paste -sd '|')
tests/tools/mkcanary.py "$work/study" "$work/other" 92 > /dev/null
/usr/bin/python3 tests/tools/mutate.py patients "$work/study" "$work/patients" 93
/usr/bin/python3 tests/tools/mutate.py conflict "$work/study" "$work/conflict" 94
/usr/bin/python3 tests/tools/mutate.py good "$work/study" "$work/first" 94
grep -qaE "$canaries" "$work/study/0003.dcm" || fail "the canaries are not in the study"
start_archive archive
identity='["PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName", "0010,1000", "0010,0020", "0008,0050", "0008,1070", "PatientAge", "StudyID", "0020,0010", "AdmissionID", "RequestedProcedureID", "PhysiciansOfRecord", "PatientAddress", "OperatorsName"]'
mkdir -m 755 "$work/data"
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 2 | .log_level = "debug" | .retry_delay = 1
	| .models = [{"name": "glioma-flair@0.1.0", "destinations": ["archive", "away"], "results": ["seg", "report", "preview", "rtstruct"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port, "results": ["seg", "report"]},
		"away": {"type": "stow", "url": "http://127.0.0.1:9/dicom-web"}}
	| .rules = ([$identity[] | {"name": "asks-\(. | sub(","; "-"))", "channel": "flair", "where": {(.): "nobody"}}] + .rules)'" $(limits)" --argjson port "$archive_port" --argjson identity "$identity"
umask 000; ulimit -c unlimited # careless, as whoever starts it may be
start_node "$work/segand.json"
umask 022
same "a core file's size" "$(awk '/core file/ { print $5 }' "/proc/$node_pid/limits")" 0
same "the folder's mode, made by another with 755" "$(stat -c %a "$work/data")" 700

get() { curl -sS -H "${2:-X-None: 1}" "http://$http$1" >> "$work/answers"; echo >> "$work/answers"; }
sent() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/$1" +crf "$work/report.$1" > "$work/dcmsend.log" 2>&1 || true; }

# ---- every way that a study can go
sent study
wait_line "$node_log" 'delivered job=1 .*destination=archive' 120 "$node_pid" > /dev/null
wait_line "$node_log" 'delivery_waits job=1 .*destination=away' 120 "$node_pid" > /dev/null
sent patients
wait_line "$node_log" 'job_rejected job=2 ' 120 "$node_pid" > /dev/null
stow_body "$work/body" "$work/first/0003.dcm"
stow "$work/body" >> "$work/answers"
stow_body "$work/body" "$work/conflict/0003.dcm"
stow "$work/body" >> "$work/answers"
sent conflict
for cut in 300 1000 20000; do head -c "$cut" "$work/other/0001.dcm" > "$work/cut.$cut"; done
stow_body "$work/body" "$work"/cut.*
stow "$work/body" >> "$work/answers"
stow "$work/body" /1.2.3 >> "$work/answers"
curl -sS -X POST -H 'Content-Type: application/dicom' --data-binary "@$work/study/0003.dcm" "http://$http/api/v1/rules/test" >> "$work/answers"
series=$(dcmdump -q +P SeriesInstanceUID "$work/study/0003.dcm" 2> "$work/dcmdump.log" | sed 's/.*\[\(.*\)\].*/\1/')
for path in /api/v1/jobs /api/v1/jobs/1 /api/v1/jobs/2 "/api/v1/series/$series/decision" /api/v1/models /metrics /health /ready /api/v1/jobs/2/seg /api/v1/jobs/4711; do get "$path"; done
"$B/segan" jobs list --url "http://$http" >> "$work/answers" 2>&1

# ---- nobody's name
for pid in "$node_pid" $(pgrep -P "$node_pid"); do
	tr '\0' '\n' < "/proc/$pid/cmdline" >> "$work/processes"; tr '\0' '\n' < "/proc/$pid/environ" >> "$work/processes"
done
holds "processes" "$(cat "$work/processes")" '--worker'
nobody() { ! grep -aE -m 3 "$canaries" "$2" || fail "whose images they are stands in $1"; }
stop_node
nobody "the log" "$node_log"
nobody "an answer or the metrics" "$work/answers"
nobody "a process" "$work/processes"
find "$work/data" > "$work/names"; nobody "a file's name" "$work/names"
sqlite3 "$work/data/segand.db" .dump > "$work/dump"; nobody "the database" "$work/dump"
find "$work/data" -type f ! -name '*.dcm' -print0 | while IFS= read -r -d '' file; do nobody "$file" "$file"; done
[ -z "$(find "$work/data" -perm /077)" ] || fail "others may look into the data folder: $(ls -ld "$work/data")"
grep -qaE "$canaries" "$work/data"/spool/*/*.dcm || fail "the canaries are not even in the spool: nothing was tested"
echo "no canary outside the images: $(wc -l < "$node_log") lines of the log, $(wc -l < "$work/dump") of the database, $(wc -l < "$work/names") names, $(wc -c < "$work/answers") bytes of answers"
