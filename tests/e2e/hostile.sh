#!/bin/bash
# Instances of ill will (RELIABILITY "Hostile input", the data sets) through both doors: each gets its answer, and the next request works, on the same
# association, on a new one, and over HTTP. What can only be seen with the pixels decoded is said by the series' job. Nothing is left behind.
. "$(dirname "$0")/lib.sh"

made=$work/made
tests/tools/mkseries.py "$made" files long plain
/usr/bin/python3 tests/tools/mkhostile.py "$made/good/000.dcm" "$made"
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 2 | .log_level = "debug" | .dicom.max_instance_mb = 32
	| .rules = [{"name": "flair", "channel": "flair", "where": {"Modality": "MR"}}]'" $(limits)"
start_node "$work/segand.json"

# name STATUS-OF-C-STORE HTTP-STATUS-OF-STOW; a dash: not through that door
cat > "$work/expected" <<'T'
deep c000 400
deepopen c000 400
deepdefined c000 400
shallow 0000 200
overlap c000 400
endless c000 400
endless-items c000 400
endless-un c000 400
flood c000 400
unsorted c000 400
huge c000 400
short c000 400
length-4g c000 400
length-undefined c000 400
length-private c000 400
length-text c000 400
frames c000 400
rows c000 400
rows-zero c000 400
bits c000 400
badvr c000 400
tail c000 400
random c000 400
text c000 400
ten c000 400
empty c000 400
nosyntax - 400
metalength - 400
group2 c000 400
deflatedcut c000 400
deflatednot c000 400
inflates c000 400
bomb c000 400
uid65 c000 400
uiddots c000 400
uidnul c000 400
uidnone c000 400
preamble-elf 0000 200
preamble-script 0000 200
preamble-html 0000 200
preamble-zip 0000 200
text-html 0000 200
text-quotes 0000 200
text-lines 0000 200
text-escapes 0000 200
text-format 0000 200
text-nul 0000 200
text-latin 0000 200
text-long 0000 200
pixels-long 0000 200
garbage-jpeg 0000 200
garbage-jpegls 0000 200
garbage-j2k 0000 200
garbage-rle 0000 200
T
for uid in dots nul long ascii zero shell empty many format; do
	for level in instance study series; do echo "uid-$uid-$level c000 400"; done
done >> "$work/expected"

# ---- C-STORE
files=()
while read -r name status _; do [ "$status" = - ] || files+=("$made/$name/000.dcm"); done < "$work/expected"
/usr/bin/python3 tests/tools/cstore_raw.py "$dicom_port" "${files[@]}" > "$work/statuses" || fail "cstore_raw"
diff <(awk '$2 != "-" { print $1, $2 }' "$work/expected") "$work/statuses" || fail "C-STORE: < expected, > answered"
