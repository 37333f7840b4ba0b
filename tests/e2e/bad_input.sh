#!/bin/bash
# What can never work gets a clear answer each, and the next study works.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
make_series() { /usr/bin/python3 tests/tools/mutate.py "$1" "$work/study" "$work/$2" "$3"; }
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 2 | .log_level = "debug"'" $(limits)"
start_node "$work/segand.json"
sent() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/$1" > "$work/dcmsend.log" 2>&1 || { cat "$work/dcmsend.log"; fail "dcmsend of $1"; }; }
uid_of() { dcmdump -q +P "$2" "$(find "$work/$1" -name '*.dcm' | sort | head -1)" | sed 's/.*\[\(.*\)\].*/\1/'; }
decision() { curl -sS "http://$http/api/v1/series/$(uid_of "$1" SeriesInstanceUID)/decision"; }

# ---- series that can never be one volume: rejected, with slice and tag
n=0
while read -r kind words; do
	n=$((n + 1))
	make_series "$kind" "$kind" "7$n"
	sent "$kind"
	line=$(wait_line "$node_log" "job_(done|rejected|failed) job=$n " 120 "$node_pid")
	job $n > "$work/job"
	same "state of $kind" "$(jq -r .state "$work/job")" rejected
	holds "reason of $kind" "$(jq -r .reason "$work/job")" "$words"
	echo "$kind: $(jq -r .reason "$work/job")"
done <<'T'
gap (0020,0032).*missing between them$
double ImagePositionPatient|0020,0032
patients PatientID|0010,0020
frames FrameOfReferenceUID|0020,0052
uneven (0020,0032).*unevenly spaced$
T

# ---- CT where the rule says MR: acknowledged, no job, the decision says which rule and value
make_series ct ct 79
sent ct
wait_line "$node_log" "series_.*series=$(uid_of ct SeriesInstanceUID)( |$)" 120 "$node_pid" > /dev/null
decision ct > "$work/decision"
same "channel of the CT" "$(jq -r .channel "$work/decision")" null
holds "decision of the CT" "$(jq -r .reason "$work/decision")" 'Modality.*CT'

# ---- over HTTP
post() { curl -sS -o "$work/answer" -w '%{http_code}' -X POST "$@" "http://$http/dicom-web/studies"; }
related='Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo'
printf '0123456789' > "$work/ten"
same "a 10-byte body" "$(post -H "$related" --data-binary "@$work/ten")" 400
same "an empty body" "$(post -H "$related" --data-binary '')" 400
same "a wrong content type" "$(post -H 'Content-Type: text/plain' --data-binary "@$work/ten")" 415
same "no boundary" "$(post -H 'Content-Type: multipart/related; type="application/dicom"' --data-binary "@$work/ten")" 415
head -c 60000 "$work/study/0003.dcm" > "$work/truncated.dcm"
echo 'this is a text file, not DICOM' > "$work/text.dcm"
for file in truncated text; do
	stow_body "$work/body" "$work/$file.dcm"
	status=$(post -H "$related" --data-binary "@$work/body")
	holds "status for a $file file" "$status" '^(400|409)$'
done
stow_body "$work/body" "$work/study/0003.dcm"
head -c 50000 "$work/body" > "$work/cut"
same "a cut body" "$(post -H "$related" --data-binary "@$work/cut")" 400
same "the wrong study in the address" "$(curl -sS -o "$work/answer" -w '%{http_code}' -X POST -H "$related" --data-binary "@$work/body" "http://$http/dicom-web/studies/1.2.3")" 409
for query in 'nonsense=1' 'limit=0' 'limit=1001' 'limit=x' 'state=sleeping' 'since=yesterday' 'cursor=%00'; do
	same "the query $query" "$(curl -sS -o "$work/answer" -w '%{http_code} %{content_type}' "http://$http/api/v1/jobs?$query")" "400 application/problem+json"
done
same "an unknown job" "$(curl -sS -o "$work/answer" -w '%{http_code} %{content_type}' "http://$http/api/v1/jobs/4711")" "404 application/problem+json"
same "an unknown path" "$(curl -sS -o "$work/answer" -w '%{http_code} %{content_type}' "http://$http/nowhere")" "404 application/problem+json"
same "a wrong method" "$(curl -sS -o "$work/answer" -w '%{http_code} %{content_type}' -X DELETE "http://$http/api/v1/jobs")" "405 application/problem+json"

# ---- other content under a known UID: refused, the first copy stays
make_series good good 80
sent good
wait_line "$node_log" "job_done job=$((n + 1)) " 120 "$node_pid" > /dev/null
make_series conflict conflict 80
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/conflict" +crf "$work/report" > /dev/null 2>&1 || true
same "instances refused with 0110" "$(grep -c '0x0110' "$work/report")" 26
same "the job of the good study" "$(job $((n + 1)) | jq -r .state)" done

# ---- and the next one works
cp -r "$work/study" "$work/next"; another_study "$work/next" 81
sent next
wait_line "$node_log" "job_done job=$((n + 2)) " 120 "$node_pid" > /dev/null
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/answer" "$work/job" "$work/decision"
echo "bad input gets its answer, the next study works"
