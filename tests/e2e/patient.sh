#!/bin/bash
# Whose study it is: Orthanc has it under a corrected name and another patient ID; the SEG that goes there, by C-STORE and by STOW-RS, follows it. Nobody's name in log or database.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
orthanc_port=$(free_port); orthanc_http=$(free_port)
while [ "$orthanc_http" = "$orthanc_port" ]; do orthanc_http=$(free_port); done
mkdir "$work/orthanc"
cat > "$work/orthanc.json" <<J
{"StorageDirectory": "$work/orthanc", "IndexDirectory": "$work/orthanc", "DicomAet": "ORTHANC", "DicomPort": $orthanc_port, "HttpPort": $orthanc_http, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowStore": true, "DicomCheckCalledAet": false, "Plugins": ["/usr/share/orthanc/plugins"],
 "DicomWeb": {"Enable": true, "Root": "/dicom-web/"}}
J
Orthanc "$work/orthanc.json" > "$work/orthanc.log" 2>&1 & started+=($!)
until curl -sf "http://127.0.0.1:$orthanc_http/system" > /dev/null 2>&1; do kill -0 "${started[-1]}" || { cat "$work/orthanc.log"; fail "Orthanc does not start"; }; done
cp -r "$work/study" "$work/corrected"
find "$work/corrected" -type f -exec dcmodify -nb -i '(0010,0010)=CANARY^Corrected' -i '(0010,0020)=CORRECTED-1' {} +
dcmsend -q -aec ORTHANC 127.0.0.1 "$orthanc_port" +sd "$work/corrected"

start_archive archive
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-flair@0.1.0", "destinations": ["pacs", "web", "kept"]}]
	| .destinations = {"pacs": {"type": "dimse", "aet": "ORTHANC", "host": "127.0.0.1", "port": $pacs}, "web": {"type": "stow", "url": "http://127.0.0.1:\($web)/dicom-web"},
		"kept": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $kept, "ask": false}} '"$(limits)" \
	--argjson pacs "$orthanc_port" --argjson web "$orthanc_http" --argjson kept "$archive_port"
start_node "$work/segand.json"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" 'job_(done|failed) job=1 ' 120 "$node_pid" > /dev/null
job 1 > "$work/job"
same "state" "$(jq -r .state "$work/job")" done
uid=$(jq -r '.results[0].sop_instance_uid' "$work/job")
revised() { sqlite3 "$work/data/segand.db" "SELECT o.revised FROM delivery_objects o JOIN deliveries d ON d.id = o.delivery WHERE d.destination = '$1'"; }
for to in pacs web; do same "revised for $to" "$(revised $to)" 1; done
same "revised for who is not asked" "$(revised kept)" 0
holds "the log says what changed" "$(grep delivery_revised "$node_log")" 'changed="PatientName, PatientID"'

instance=$(curl -sf "http://127.0.0.1:$orthanc_http/tools/lookup" -d "$uid" | jq -r '.[] | select(.Type == "Instance") | .ID')
curl -sf "http://127.0.0.1:$orthanc_http/instances/$instance/file" > "$work/at_orthanc.dcm"
kept=$(grep -l -a -r -F "$uid" "$work/archive" | head -1)
patient() { dcmdump -q +P "$2" "$1" | sed -n '1s/.*\[\(.*\)\].*/\1/p'; }
same "patient ID at Orthanc" "$(patient "$work/at_orthanc.dcm" 0010,0020)" CORRECTED-1
same "name at Orthanc" "$(patient "$work/at_orthanc.dcm" 0010,0010)" 'CANARY^Corrected'
[ "$(patient "$kept" 0010,0020)" != CORRECTED-1 ] || fail "who is not asked got another patient than the images have"
# nothing else changed: both name one study, and Orthanc has one of it
for tag in 0008,0018 0020,000d 0020,000e 0062,0013; do same "$tag" "$(patient "$work/at_orthanc.dcm" $tag)" "$(patient "$kept" $tag)"; done
same "pixels" "$(dcmdump -q +L +P 7fe0,0010 "$work/at_orthanc.dcm" | md5sum)" "$(dcmdump -q +L +P 7fe0,0010 "$kept" | md5sum)"
same "studies at Orthanc" "$(curl -sf "http://127.0.0.1:$orthanc_http/studies" | jq length)" 1
valid "$work/at_orthanc.dcm"
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/job"
for file in "$node_log" "$work/data/segand.db"*; do grep -q -a -F -e CORRECTED-1 -e 'CANARY^Corrected' "$file" && fail "the archive's patient is in $file"; done
echo "the patient follows the archive"
