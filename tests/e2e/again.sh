#!/bin/bash
# The same instance in another transfer syntax changes nothing and is answered with success, whichever came first, at both doors; what has lost something, or is
# another image, is refused with 0x0110 (FailureReason 272) and the reason. Its pixels are decoded by a process of its own, which may die of it.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
slice=$work/study/0003.dcm
dcmconv -q +te "$slice" "$work/native.dcm"
dcmconv -q +ti "$slice" "$work/implicit.dcm"
dcmconv -q +tb "$slice" "$work/big.dcm"
dcmconv -q +td "$slice" "$work/deflated.dcm"
dcmcrle -q "$slice" "$work/rle.dcm"
dcmcjpls -q +el "$slice" "$work/ls.dcm"
dcmcjpeg -q +e1 "$slice" "$work/sv1.dcm"
dcmcjpls -q +en +md 3 +un "$slice" "$work/near.dcm"
cp "$work/rle.dcm" "$work/rle-moved.dcm"
dcmodify -q -nb -m 'ImagePositionPatient=1\2\3' "$work/rle-moved.dcm"
/usr/bin/python3 - "$work" <<'T'
import sys, pydicom
d = pydicom.dcmread(sys.argv[1] + '/native.dcm')
d.PixelData = bytes([d.PixelData[0] ^ 1]) + d.PixelData[1:]
d.save_as(sys.argv[1] + '/other.dcm')
d = pydicom.dcmread(sys.argv[1] + '/ls.dcm')
d.PixelData = d.PixelData[:400] + bytes(len(d.PixelData) - 408) + d.PixelData[-8:]
d.save_as(sys.argv[1] + '/broken-ls.dcm')
T
dcmcrle -q "$work/other.dcm" "$work/other-rle.dcm"

# ---- on files: a copy counts once, other content under its UID is told
mkdir "$work/copies"
cp "$work"/{native,rle,ls}.dcm "$work/copies"
"$B/segan" inspect "$work/copies" > "$work/words" 2>&1 || fail "segan inspect"
! grep -q 'other content' "$work/words" || fail "copies are told: $(cat "$work/words")"
cp "$work/other-rle.dcm" "$work/copies"
"$B/segan" inspect "$work/copies" > "$work/words" 2>&1 || fail "segan inspect"
holds "another image" "$(cat "$work/words")" "other-rle.dcm: instance .* is there already, with other content: .*ls.dcm is taken"

write_config "$work/segand.json" ".series_complete_trigger = 600 | .log_level = \"debug\" $(limits)"
start_node "$work/segand.json"
uid=$(dcmdump -q +P SOPInstanceUID "$slice" | sed 's/.*\[\(.*\)\].*/\1/')
row() { sqlite3 -readonly "$work/data/segand.db" "SELECT transfer_syntax, digest, (SELECT n_instances || ' ' || revision FROM series) FROM instances WHERE sop_uid = '$uid'"; }
send() { # NAME: prints the status that the node answered
	rm -f "$work/report"
	dcmsend -q -dn -aec SEGAN 127.0.0.1 "$dicom_port" "$work/$1.dcm" +crf "$work/report" > "$work/sender.log" 2>&1 || true
	grep -m 1 -oE '0x[0-9a-fA-F]{4}' "$work/report" || echo none
}
stow() { # NAME: prints the status and the FailureReason of what was not stored
	stow_body "$work/body" "$work/$1.dcm"
	curl -sS -o "$work/answer" -w '%{http_code}' -H 'Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo' --data-binary "@$work/body" "http://$http/dicom-web/studies"
	jq -r '" \(.["00081198"].Value[0]["00081197"].Value[0] // "-")"' "$work/answer"
}

# ---- uncompressed first
same "the first" "$(send native)" 0x0000
first=$(row)
for copy in native implicit big deflated rle ls sv1; do
	same "$copy after native" "$(send $copy)" 0x0000
	same "$copy by STOW" "$(stow $copy)" "200 -"
done
while read -r copy words; do
	same "$copy" "$(send "$copy")" 0x0110
	holds "why $copy is refused" "$(tail -n 3 "$node_log")" "$words"
	same "$copy by STOW" "$(stow "$copy")" "409 272"
done <<'T'
near the pixels of frame 1 differ
rle-moved ImagePositionPatient \(0020,0032\) differs
other other content: the first
other-rle the pixels of frame 1 differ
broken-ls cannot be compared
T
same "the row of the first copy" "$(row)" "$first"
holds "the file of the first copy" "$(dcmdump -q +P TransferSyntaxUID -Un "$(find "$work/data/spool" -name '*.dcm')")" '\[1\.2\.840\.10008\.1\.2\.1\]'

# ---- compressed first: another node
stop_node
rm -r "$work/data"
start_node "$work/segand.json"
same "the first, in RLE" "$(send rle)" 0x0000
for copy in rle native big ls sv1; do same "$copy after RLE" "$(send $copy)" 0x0000; done
same "another image after RLE" "$(send other)" 0x0110
same "instances" "$(row | cut -d'|' -f1,3)" '1.2.840.10008.1.2.5|1 1'
same "files of the spool" "$(find "$work/data/spool" -name '*.dcm' | wc -l)" 1
same "files that were left behind" "$(find "$work/data/tmp" -type f | wc -l)" 0
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/answer"
