#!/bin/bash
# viewer.sh SERIES_DIR SEG.dcm TRUTH.json OUT_DIR: Orthanc takes series and SEG, OHIF reads them over DICOMweb, viewer.cjs judges what is seen. build/peers holds OHIF.
# All of it runs in a network namespace of its own where the system allows one: Orthanc 1.10.1 listens on every address, whatever its configuration says.
set -euo pipefail
if [ -z "${OWN_NETWORK:-}" ] && command -v ip > /dev/null && unshare --map-root-user --net true 2> /dev/null; then
	OWN_NETWORK=1 exec unshare --map-root-user --net "$0" "$@"
fi
[ -z "${OWN_NETWORK:-}" ] || ip link set lo up
cd "$(dirname "$0")/../.."
series=$1 seg=$2 truth=$3 out=$4
work=$(mktemp -d)
. deploy/demo/lib.sh
trap 'stop_all; rm -rf "$work"' EXIT

port=$(free_port)
jq -n --arg store "$work/store" --argjson port "$port" '{Name: "peers", StorageDirectory: $store, IndexDirectory: $store, HttpPort: $port, RemoteAccessAllowed: false,
	AuthenticationEnabled: false, DicomServerEnabled: false, Plugins: ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
	DicomWeb: {Enable: true, Root: "/dicom-web/", EnableWado: true, WadoRoot: "/wado"}}' > "$work/orthanc.json"
Orthanc "$work/orthanc.json" > "$work/orthanc.log" 2>&1 &
started+=($!)
until curl -sf -o /dev/null "http://127.0.0.1:$port/system"; do kill -0 "${started[0]}" || { tail "$work/orthanc.log"; exit 1; }; done
for file in "$series"/* "$seg"; do curl -sSf -o /dev/null -X POST --data-binary "@$file" "http://127.0.0.1:$port/instances"; done

node build/peers/serve.cjs build/peers/ohif/dist tests/peers/ohif-config.js "$port" > "$work/serve.log" 2>&1 &
started+=($!)
page=$(wait_line "$work/serve.log" '^port ' 20 $!)
timeout -k 5 200 node build/peers/viewer.cjs "http://127.0.0.1:${page#port }/viewer?StudyInstanceUIDs=$(jq -r .study "$truth")" "$truth" "$out"
