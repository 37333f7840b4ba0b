#!/bin/bash
# Receiving 155 MR instances (18 MB) from dcmsend with its default options: our node, acknowledging durably, against Orthanc, in turns, three rounds; medians.
# Also four associations at once against one after the other, ours only. stdout: "name ours peer ratio" in seconds; everything else goes to stderr.
. "$(dirname "$0")/../e2e/lib.sh"
exec 3>&1 1>&2
deploy/install-deps.sh bench
rounds=${ROUNDS:-3}
for i in $(seq "$rounds"); do /usr/bin/python3 tests/tools/mkbrick.py "$work/a$i" 155 240 "a$i"; done
for i in 1 2 3 4; do /usr/bin/python3 tests/tools/mkbrick.py "$work/p$i" 155 240 "p$i"; /usr/bin/python3 tests/tools/mkbrick.py "$work/q$i" 155 240 "q$i"; done

write_config "$work/segand.json" '.series_complete_trigger = 3600 | .log_level = "info"'
start_node "$work/segand.json"
orthanc_dicom=$(free_port); orthanc_http=$(free_port)
jq -n --arg dir "$work/orthanc" --argjson d "$orthanc_dicom" --argjson h "$orthanc_http" '{StorageDirectory: $dir, IndexDirectory: $dir, DicomPort: $d, HttpPort: $h,
	RemoteAccessAllowed: false, DicomAlwaysAllowStore: true, DicomAlwaysAllowEcho: true, DicomCheckCalledAet: false, Plugins: []}' > "$work/orthanc.json"
Orthanc "$work/orthanc.json" > "$work/orthanc.log" 2>&1 &
started+=($!)
wait_line "$work/orthanc.log" 'Orthanc has started' 60 > /dev/null

seconds() { local began ended; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N); echo "$ended - $began" | bc -l; }
send() { dcmsend -q 127.0.0.1 "$1" +sd "$2" > /dev/null; }
four() { local i; for i in 1 2 3 4; do send "$dicom_port" "$work/$1$i" & pids[i]=$!; done; for i in 1 2 3 4; do wait "${pids[i]}"; done; }
one_by_one() { local i; for i in 1 2 3 4; do send "$dicom_port" "$work/$1$i"; done; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for i in $(seq "$rounds"); do
	seconds send "$dicom_port" "$work/a$i" >> "$work/ours"
	seconds send "$orthanc_dicom" "$work/a$i" >> "$work/peer"
done
line() { awk -v n="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%s %.3f %.3f %.4f\n", n, a, b, a / b }' >&3; }
line receive_155_instances_orthanc "$(median < "$work/ours")" "$(median < "$work/peer")"
line receive_4_associations_against_one_by_one "$(seconds four p)" "$(seconds one_by_one q)"
same "instances in the database" "$(sqlite3 -readonly "$work/data/segand.db" 'select count(*) from instances')" $((155 * (rounds + 8)))
