#!/bin/bash
# make demo: the shipped study goes in over C-STORE and, as another study, over STOW-RS; the SEGs arrive at a receiving archive (DCMTK's storescp).
# Results stay in build/demo. KEEP=1 leaves the node running.
set -euo pipefail
cd "$(dirname "$0")/../.."
B=${B:-build}
out=$B/demo
rm -rf "$out"; mkdir -p "$out"
work=$(mktemp -d)
. deploy/demo/lib.sh
finish() { local status=$?; [ "$status" = 0 ] && [ -n "${KEEP:-}" ] || { stop_all; rm -rf "$work"; }; exit "$status"; }
trap finish EXIT
node_log=$out/segand.log

echo "* unpacking a real study: TCGA-FG-6692, FLAIR, 26 oblique slices (The Cancer Imaging Archive, CC BY 3.0)"
tar -xJf deploy/demo/TCGA-FG-6692-flair.tar.xz -C "$work"
study=$work/TCGA-FG-6692/flair
cp -r "$study" "$work/second"
another_study "$work/second"

echo "* starting a receiving archive (storescp) and the node (segand)"
start_archive archive
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-flair", "destinations": ["archive"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port}}' --argjson port "$archive_port"
start_node "$work/segand.json"
echo "  archive: port $archive_port    node: DICOM port $dicom_port, HTTP http://$http"

echo "* sending the study with C-STORE (dcmsend)"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$study"
echo "* sending it again as another study with STOW-RS (curl)"
stow_body "$work/body" "$work/second"/*
answer=$(stow "$work/body")
[ "${answer##*$'\n'}" = 200 ] || { echo "STOW-RS was answered: $answer"; exit 1; }

echo "* waiting for both jobs (a series is complete after 1 s of silence here, 30 s by default)"
for job in 1 2; do wait_line "$node_log" "job_(done|failed|rejected) job=$job " 60 "$node_pid" > /dev/null; done

echo; "$B/segan" jobs list --url "http://$http"; echo
for job in 1 2; do
	curl -sS "http://$http/api/v1/jobs/$job" > "$work/job.json"
	[ "$(jq -r .state "$work/job.json")" = done ] || { cat "$work/job.json"; exit 1; }
	uid=$(jq -r '.results[0].sop_instance_uid' "$work/job.json")
	seg=$(grep -l -a -F "$uid" "$work/archive"/* | head -1)
	[ -n "$seg" ] || { echo "the SEG $uid did not arrive at the archive"; exit 1; }
	cp "$seg" "$out/seg-$job.dcm"
	curl -sS -o "$out/preview-$job.png" "http://$http/api/v1/jobs/$job/preview.png"
	jq -r '"job \(.id): " + ([.segments[] | "\(.label) \(.volume_ml) ml"] | join(", ")) + "; read \(.timings_ms.read) + prepare \(.timings_ms.prepare) + segment \(.timings_ms.segment) + write \(.timings_ms.write) + deliver \(.timings_ms.deliver) ms"' "$work/job.json"
	echo "  SEG as the archive received it: $out/seg-$job.dcm    picture: $out/preview-$job.png"
done
if [ -n "${KEEP:-}" ]; then
	echo; echo "The node is left running: http://$http  (C-STORE: SEGAN@127.0.0.1:$dicom_port). Data: $work. Stop it: kill ${started[*]}"
else
	stop_node
	echo; echo "Done; everything that was started is stopped."
fi
