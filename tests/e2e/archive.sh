#!/bin/bash
# segan dataset create --archive: the same set from a DIMSE archive (DCMTK's dcmqrscp), a DICOMweb one and a folder, to the byte; what is not asked for stays
# there; an archive that is away, refuses or does not know us is told in words and leaves nothing.
. "$(dirname "$0")/lib.sh"

# Two studies with a SEG of a person, one without, one of another year.
one=tests/data/lgg/TCGA_CS_4942_19970222
/usr/bin/python3 - "$one/mask.nii.gz" "$work/mask" <<'P'
import sys, numpy as np, nibabel as nib
np.ascontiguousarray((np.asanyarray(nib.load(sys.argv[1]).dataobj) > 0).astype(np.uint8).T).tofile(sys.argv[2])
P
mkdir "$work/dicom"
study() { # NAME NUMBER DATE: number 0 has no SEG
	mkdir "$work/dicom/$1"
	/usr/bin/python3 tests/tools/nifti2dicom.py "$work/dicom/$1" "$1" "flair=$one/flair.nii.gz" --shuffle > /dev/null
	[ "$2" = 0 ] || /usr/bin/python3 tests/tools/mkseg.py "$work/dicom/$1/$2.dcm" "$work/dicom/$1" "$work/mask" --uid "2.25.$2" --extra "$2" > /dev/null
	find "$work/dicom/$1" -name '*.dcm' -exec dcmodify -q -nb -i "StudyDate=$3" {} +
}
study first 11 20240105; study second 12 20240220; study without 0 20240301; study early 13 20190101

# ---- the archives
dimse_port=$(free_port); away_port=$(free_port)
mkdir "$work/store"
cat > "$work/qr.cfg" <<C
NetworkTCPPort = $dimse_port
MaxPDUSize = 16384
MaxAssociations = 8
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QR $work/store RW (500, 1024mb) ANY
AETable END
C
dcmqrscp -c "$work/qr.cfg" > "$work/qr.log" 2>&1 & started+=($!)
until echoscu -q -aec QR 127.0.0.1 "$dimse_port" 2> /dev/null; do kill -0 "${started[-1]}" || { cat "$work/qr.log"; fail "dcmqrscp does not start"; }; done
dcmsend -q -aec QR 127.0.0.1 "$dimse_port" +sd +r "$work/dicom" > "$work/out" 2>&1 || { cat "$work/out"; fail "dcmsend"; }
tests/tools/dicomweb_archive.py "$work/dicom" --fail 1 --token secret > "$work/web.log" 2>&1 & started+=($!)
web=$(wait_line "$work/web.log" '^port ' 30); web=${web#port }
tests/tools/dicomweb_archive.py "$work/dicom" --cut 2 > "$work/tears.log" 2>&1 & started+=($!)
tests/tools/dicomweb_archive.py "$work/dicom" --cut 1000 > "$work/torn.log" 2>&1 & started+=($!)
tears=$(wait_line "$work/tears.log" '^port ' 30); tears=${tears#port }; torn=$(wait_line "$work/torn.log" '^port ' 30); torn=${torn#port }
echo secret > "$work/token"
jq -n --argjson qr "$dimse_port" --argjson away "$away_port" --arg web "http://127.0.0.1:$web/dicom-web" --arg work "$work" --arg tears "http://127.0.0.1:$tears/dicom-web" --arg torn "http://127.0.0.1:$torn/dicom-web" '{data_dir: "\($work)/node", archives: {
	tears: {type: "dicomweb", url: $tears}, torn: {type: "dicomweb", url: $torn},
	qr: {type: "dimse", aet: "QR", host: "127.0.0.1", port: $qr}, away: {type: "dimse", aet: "QR", host: "127.0.0.1", port: $away, timeout: 5},
	other: {type: "dimse", aet: "NOBODY", host: "127.0.0.1", port: $qr},
	web: {type: "dicomweb", url: $web, token_file: "\($work)/token"}, bare: {type: "dicomweb", url: $web}, folder: {type: "folder", path: "\($work)/dicom"}}}' > "$work/segand.json"

create() { "$B/segan" dataset create "$work/$1" --channels flair --config "$work/segand.json" "${@:2}" > "$work/out" 2> "$work/err"; }
must() { create "$@" || { cat "$work/err"; fail "dataset create $*"; }; }
refused() { # STATUS PATTERN WORDS...
	local status=0
	create x "${@:3}" || status=$?
	same "exit status of $*" "$status" "$1"
	holds "words of $*" "$(cat "$work/err")" "$2"
	[ -z "$(find "$work" -maxdepth 1 -name 'x*')" ] || fail "$*: something is left: $(find "$work" -maxdepth 1 -name 'x*')"
}
cases() { jq -c '[.cases[] | {study_uid, digest, label_sop_uid, creator}] | sort_by(.label_sop_uid)' "$work/$1/dataset.json"; }
reason() { jq -r --arg what "$2" '.left_out[] | select(.what == $what) | .reason' "$work/$1/dataset.json"; }

must folder --archive folder
mkdir "$work/node"; "$B/segan" spool reindex --config "$work/segand.json" > "$work/out" 2>&1 || { cat "$work/out"; fail "a database for the audit trail"; }
must qr --archive qr
same "studies that were fetched, in the audit trail" "$(sqlite3 "$work/node/segand.db" "select count(*), count(distinct study_uid), count(user), min(destination), min(text) from audit where event = 110106 and action = 'R'")" \
	"3|3|3|$work/qr|segan dataset create, from archive qr"
same "the study without SEG, in the audit trail" "$(sqlite3 "$work/node/segand.db" "select count(*) from audit where study_uid = '$(dcmdump -q +P 0020,000d "$(find "$work/dicom/without" -name '*.dcm' | head -n 1)" | sed 's/.*\[\(.*\)\].*/\1/')'")" 0
refused 1 'HTTP 503' --archive web                   # asked for the studies: the making cannot begin
must web --archive web
same "cases of the folder" "$(jq '.cases | length' "$work/folder/dataset.json")" 3
same "cases by DIMSE" "$(cases qr)" "$(cases folder)"
same "cases by DICOMweb" "$(cases web)" "$(cases folder)"
without=$(dcmdump -q +P 0020,000d "$(find "$work/dicom/without" -name '*.dcm' | head -n 1)" | sed 's/.*\[\(.*\)\].*/\1/')
for set in folder qr web; do same "the study without SEG, $set" "$(reason "$set" "$without")" "no SEG in the study"; done
same "entries of a set" "$(ls "$work/qr")" "$(ls "$work/folder")"
! grep -q "studies/$without/series/" "$work/web.log" || fail "the study without SEG was fetched"

# ---- the query
must some --archive qr --query StudyDate=20240101-20241231
same "studies of the year" "$(jq '.cases | length' "$work/some/dataset.json")" 2
must some.web --archive web --query 'StudyDate=2019*'
same "label of 2019" "$(jq -r '.cases[].label_sop_uid' "$work/some.web/dataset.json")" 2.25.13
refused 1 'no study that matches' --archive qr --query StudyDate=19000101
refused 1 'no study that matches' --archive web --query StudyDate=19000101
refused 1 '"Nonsense" is no DICOM keyword' --archive qr --query Nonsense=1
refused 2 'which cannot be asked' --archive folder --query StudyDate=2020

# ---- what cannot work
sqlite3 "$work/node/segand.db" 'pragma user_version = 99'
refused 1 'audit trail cannot record it.*another version' --archive qr
rm -r "$work/node"
refused 1 "archive away: QR at 127.0.0.1:$away_port" --archive away
refused 1 'called AE title not recognised' --archive other
refused 1 'HTTP 401: the token' --archive bare
refused 2 'no archive "nothing"; configured under "archives": tears, torn, qr' --archive nothing
refused 1 'archive torn: .*broke off' --archive torn                          # none can be had
grep -q 'in no audit trail: there is no database' "$work/err" || fail "that nothing is recorded is not said"
must tears --archive tears                                                    # the third try is whole
same "cases after two answers that broke off" "$(cases tears)" "$(cases folder)"
echo "archives: DIMSE, DICOMweb and folder give the same set"
