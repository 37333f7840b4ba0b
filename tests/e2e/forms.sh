#!/bin/bash
# Forms of the SEG: segan segment writes BINARY, LABELMAP and FRACTIONAL in every syntax that each may have, of a model whose segments lie in each other and one of which is
# never found; a node sends each destination the forms of its settings, in its syntax where it takes that, and says what was not accepted.
. "$(dirname "$0")/lib.sh"
labelmap=1.2.840.10008.5.1.4.1.1.66.7 rle=1.2.840.10008.1.2.5 deflated=1.2.840.10008.1.2.1.99 explicit=1.2.840.10008.1.2.1
valid() { # FILE SOURCE: all rules, after decoding what is compressed
	case $(syntax "$1") in
	"$explicit") cp "$1" "$work/plain" ;;
	"$rle") dcmdrle "$1" "$work/plain" ;;
	*) dcmconv +te "$1" "$work/plain" ;;
	esac
	/usr/bin/python3 tests/tools/seg_check.py "$work/plain" "$2" --allow-empty-segments > "$work/check" || { cat "$work/check"; fail "seg_check $1"; }
}
forms() { /usr/bin/python3 tests/tools/forms_check.py "$@" > "$work/check" || { cat "$work/check"; fail "forms_check $*"; }; }
syntax() { dcmdump -q -Un +P TransferSyntaxUID "$1" | sed 's/.*\[\(.*\)\].*/\1/'; }
# one KIND DIR: the file of this SegmentationType there
one() { local f; for f in "$2"/*; do dcmdump -q +P SegmentationType "$f" | grep -q "\[$1" && echo "$f"; done; true; }

# A model with three segments of one map: the whole, its sure part, and one that is never large enough.
mkdir -p "$work/models/glioma-flair"
version=0.1.0 # the smaller network
cp -r "model/shipped/glioma-flair/$version" "$work/models/glioma-flair/"
file=$work/models/glioma-flair/$version/model.json
jq '.segments += [(.segments[0] | .number = 2 | .label = "Sure part" | .threshold = 0.9), (.segments[0] | .number = 3 | .label = "Never" | .minimum_ml = 1000)]' "$file" > "$work/m" && cp "$work/m" "$file"

# ---- files
demo_study "$work/study"
for form in "binary explicit" "binary deflated" "labelmap explicit" "labelmap rle" "fractional explicit" "fractional rle"; do
	set -- $form
	"$B/segan" segment "$work/study" -o "$work/$1.$2" --models "$work/models" --format "$1" --syntax "$2" --probability "$work/p.nii.gz" --json > "$work/$1.$2.json" 2> "$work/err" ||
		fail "segan segment --format $1 --syntax $2: $(cat "$work/err")"
	same "syntax of $form" "$(syntax "$work/$1.$2")" "${!2}"
	valid "$work/$1.$2" "$work/study"
done
same "kinds" "$(jq -r '.results[].kind' "$work"/{binary,labelmap,fractional}.explicit.json | tr '\n' ' ')" "seg labelmap fractional "
forms "$work/study" "$work"/{binary,labelmap,fractional}.explicit "$work/p.nii.gz"
cat "$work/check"
grep -q "segment 2: [1-9]" "$work/check" || fail "the inner segment was not found: the test tests nothing"
forms "$work/study" "$work/binary.deflated" "$work/labelmap.rle" "$work/fractional.rle" "$work/p.nii.gz"
for form in labelmap fractional; do
	same "UID of $form in RLE" "$(dcmdump -q +P SOPInstanceUID "$work/$form.rle")" "$(dcmdump -q +P SOPInstanceUID "$work/$form.explicit")"
done
dcmodify -q -nb -m "(0062,0002)[1].(0062,0006)=quiet" "$work/labelmap.explicit"
! /usr/bin/python3 tests/tools/forms_check.py "$work/study" "$work"/{binary,labelmap,fractional}.explicit > /dev/null || fail "forms_check takes a label map that does not say what it did"
for words in "--format binary --syntax rle" "--format rtstruct --syntax deflated" "--format other" "--syntax other"; do
	status=0; "$B/segan" segment "$work/study" -o "$work/x.dcm" $words > /dev/null 2>&1 || status=$?
	same "exit status of $words" $status 2
done

# ---- destinations: one takes all, one deflated only, one no label map, one over HTTP, one over HTTP that refuses what is compressed
start_archive all -pm +xa; all=$archive_port
start_archive deflated -pm +xd; deflating=$archive_port
start_archive old; old=$archive_port
for name in web picky; do
	mkdir "$work/$name"
	/usr/bin/python3 tests/tools/stow_receiver.py "$work/$name" $([ $name = web ] || echo --status 409,200) > "$work/$name.log" 2>&1 & started+=($!)
	port=$(wait_line "$work/$name.log" '^port ' 60); declare "$name=${port#port }"
done
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models_dir = $work + "/models"
	| .models = [{"name": "glioma-flair", "destinations": ["all", "deflated", "old", "web", "picky"], "results": ["seg"]}]
	| ({"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1"}) as $d | ({"type": "stow"}) as $s
	| .destinations = {"all": ($d + {"port": $all, "results": ["seg", "labelmap", "fractional"], "seg_syntax": "rle"}),
		"deflated": ($d + {"port": $deflating, "results": ["labelmap", "seg"], "seg_syntax": "deflated"}),
		"old": ($d + {"port": $old, "results": ["seg", "labelmap"], "seg_syntax": "rle"}),
		"web": ($s + {"url": "http://127.0.0.1:\($web)/dicom-web", "results": ["seg", "labelmap"], "seg_syntax": "rle"}),
		"picky": ($s + {"url": "http://127.0.0.1:\($picky)/dicom-web", "results": ["labelmap"], "seg_syntax": "rle"})} '"$(limits)" \
	--arg work "$work" --argjson all "$all" --argjson deflating "$deflating" --argjson old "$old" --argjson web "$web" --argjson picky "$picky"
start_node "$work/segand.json"
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study"
wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > /dev/null
job 1 > "$work/job1"
same "kinds" "$(jq -r '[.results[].kind] | join(" ")' "$work/job1")" "seg labelmap fractional"
same "deliveries" "$(jq -r '[.deliveries[] | .destination + " " + .state] | join(", ")' "$work/job1")" "all delivered, deflated delivered, old refused, web delivered, picky delivered"
holds "why not" "$(jq -r '.deliveries[] | select(.destination == "old").last_error' "$work/job1")" "labelmap\.dcm: it does not accept this SOP class and transfer syntax: $labelmap"
holds "the log says it" "$(grep 'delivery_refused' "$node_log")" "destination=old .*$labelmap"
# sent_as DESTINATION KIND UID: how it arrived there
sent_as() { same "syntax of $2 at $1" "$(syntax "$(one "$2" "$work/$1")")" "$3"; }
sent_as all BINARY $explicit; sent_as all LABELMAP $rle; sent_as all FRACTIONAL $rle
sent_as deflated BINARY $deflated; sent_as deflated LABELMAP $deflated
sent_as old BINARY $explicit; same "files at the old one" "$(find "$work/old" -type f | wc -l)" 1
sent_as web BINARY $explicit; sent_as web LABELMAP $rle
sent_as picky LABELMAP $explicit
for f in "$work"/{all,deflated,old,web,picky}/*; do valid "$f" "$work/study"; done
forms "$work/study" "$(one BINARY "$work/all")" "$(one LABELMAP "$work/all")" "$(one FRACTIONAL "$work/all")"
forms "$work/study" "$(one BINARY "$work/deflated")" "$(one LABELMAP "$work/picky")" "$(one FRACTIONAL "$work/all")"
for kind in BINARY LABELMAP; do
	same "UIDs of $kind wherever it went" "$(for d in all deflated web; do dcmdump -q +P SOPInstanceUID "$(one $kind "$work/$d")"; done | sort -u | wc -l)" 1
done
stop_node
no_identity "$node_log" "$work/data/segand.db" "$work/job1"
echo "every form in every syntax, to whom it belongs"
