#!/bin/bash
# Out of distribution: a real head at half its size is segmented and flagged in job, SEG, log and metrics, or rejected, as the setting says; the same head as
# scanned is neither. What the figures can tell from what: tests/unit/test_likeness.c.
. "$(dirname "$0")/lib.sh"

demo_study "$work/whole"
cp -r "$work/whole" "$work/half"
another_study "$work/half" 5
dcmodify -q -nb -m 'PixelSpacing=0.45\0.45' "$work/half"/*
send() { dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/$1"; wait_line "$node_log" "job_(done|failed|rejected) job=$2 " 120 "$node_pid" > /dev/null; job "$2" > "$work/job$2"; }
strangers() { curl -sS "http://$http/metrics" | sed -n 's/^segand_jobs_out_of_distribution_total //p'; }
words="out of distribution: head of 7[0-9]{2} ml; the model's training heads had 1476 to 8182 ml; head [78][0-9] mm wide \(left to right\); the model's training heads"

# ---- flagged, the default ----
write_config "$work/segand.json" ".series_complete_trigger = 1 $(limits)"
start_node "$work/segand.json"
send whole 1
same "flags and reason of a head" "$(jq -c '[.state, .flags, .reason]' "$work/job1")" '["done",[],null]'
same "counter" "$(strangers)" 0
send half 2
same "state and flags of half a head" "$(jq -c '[.state, .flags, .finding]' "$work/job2")" '["done",["out_of_distribution"],"present"]'
holds "reason" "$(jq -r .reason "$work/job2")" "^$words"
same "counter" "$(strangers)" 1
holds "log" "$(cat "$node_log")" " warn job_flagged job=2 study=[0-9.]+ model=glioma-flair@[0-9.]+ flag=out_of_distribution text=\"$words"
! grep -q 'job_flagged job=1' "$node_log" || fail "the head as scanned is flagged"
curl -sS -o "$work/whole.dcm" "http://$http/api/v1/jobs/1/seg"
curl -sS -o "$work/half.dcm" "http://$http/api/v1/jobs/2/seg"
! dcmdump "$work/whole.dcm" | grep -i 'out.of.distribution' || fail "the SEG of the head as scanned is flagged"
value() { dcmdump -q +L +P "$1" "$work/half.dcm" | head -n 1; }
holds "series" "$(value SeriesDescription)" ', out of distribution, research use only\]'
holds "content" "$(value ContentDescription)" 'out of distribution'
holds "segment" "$(value SegmentDescription)" "research use only; $words"
holds "algorithm" "$(value AlgorithmParameters)" ' out_of_distribution=yes\]'
curl -sS -o "$work/report.dcm" "http://$http/api/v1/jobs/2/report"
holds "report" "$(dcmdump -q +L "$work/report.dcm")" "\[$words"
/usr/bin/python3 tests/tools/seg_check.py "$work/half.dcm" "$work/half" > "$work/check" || { cat "$work/check"; fail "seg_check"; }
valid "$work/half.dcm"
stop_node

# ---- rejected ----
jq '.models[0].out_of_distribution = "reject"' "$work/segand.json" > "$work/reject.json"
start_node "$work/reject.json"
cp -r "$work/half" "$work/again"
another_study "$work/again" 6
send again 3
same "state and flags" "$(jq -c '[.state, .flags, .finding, .results]' "$work/job3")" '["rejected",["out_of_distribution"],null,[]]'
holds "reason" "$(jq -r .reason "$work/job3")" "$words"
same "counter" "$(strangers)" 1
stop_node

# ---- without a daemon ----
"$B/segan" segment "$work/half" -o "$work/out.dcm" --json > "$work/json" 2> "$work/err" || { cat "$work/err"; fail "segan segment"; }
same "flags" "$(jq -c .flags "$work/json")" '["out_of_distribution"]'
holds "reason" "$(jq -r .reason "$work/json")" "^$words"
rm "$work/out.dcm"
status=0; "$B/segan" segment "$work/half" -o "$work/out.dcm" --config "$work/reject.json" --json > "$work/json" 2> "$work/err" || status=$?
same "exit status" $status 1
same "state and flags" "$(jq -c '[.state, .flags]' "$work/json")" '["rejected",["out_of_distribution"]]'
[ ! -e "$work/out.dcm" ] || fail "a SEG of a rejected input"
echo "what the model was not trained on is flagged, or rejected"
