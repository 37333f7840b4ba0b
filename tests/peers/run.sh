#!/bin/bash
# make test-peers: readers, senders and receivers from npm, written by others in another language, against what our programs write and answer.
# Packages go to build/peers: package.json pins them, package-lock.json holds their digests. The viewer's part also needs Debian's chromium and orthanc and is
# skipped, in words, where they cannot be had; its screenshots stay in build/peers.
. "$(dirname "$0")/../e2e/lib.sh"
here=$PWD/tests/peers peers=$PWD/build/peers
passed=0 failed=0

# check NAME COMMAND...: one line a check; what the command said when it failed.
check() {
	local name=$1; shift
	if "$@" > "$work/said" 2>&1; then passed=$((passed + 1)); echo "ok    $name: $(tail -n 1 "$work/said")"
	else failed=$((failed + 1)); echo "FAIL  $name"; tail -n 30 "$work/said" | sed 's/^/      /'; fi
}
js() { timeout -k 5 120 node --no-warnings --loader "$peers/esm-loader.mjs" "$peers/$@"; }

install_packages() {
	local major
	command -v node > /dev/null && command -v npm > /dev/null || fail "Node 18 or later and npm are needed (Debian: apt-get install nodejs npm)"
	major=$(node -p 'process.versions.node.split(".")[0]')
	[ "$major" -ge 18 ] || fail "Node 18 or later is needed, this is $(node --version)"
	mkdir -p "$peers"
	cp "$here"/*.cjs "$here"/*.mjs "$peers/"
	if ! cmp -s "$here/package-lock.json" "$peers/installed"; then
		echo "* installing packages from npm into build/peers"
		cp "$here/package.json" "$here/package-lock.json" "$peers/"
		(cd "$peers" && npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error) > "$work/npm" 2>&1 || { tail -n 20 "$work/npm"; fail "npm ci"; }
		cp "$here/package-lock.json" "$peers/installed"
	fi
}

# OHIF comes as one package with a ready build inside; its many dependencies are those of building it. Version 3.13 asks an archive for single frames of 1-bit
# SEGs, which Debian's Orthanc refuses, so 3.12. Says what is missing when it fails.
ohif_version=3.12.10
ohif_sha512=d24b85eba32af5cf5d303fbe6d4b138ccac9a57270699873f41e2e4b6e380dac008d2913c0860553dde9c4fb915108b16918bb4001e517715ed6ab9d06566b98
install_viewer() {
	deploy/install-deps.sh viewer > "$work/viewer.deps" 2>&1 || { echo "Debian's chromium and orthanc cannot be installed"; return 1; }
	[ -e "$peers/ohif/$ohif_version" ] && return
	(cd "$work" && npm pack --silent "@ohif/app@$ohif_version") > "$work/npm" 2>&1 || { echo "@ohif/app cannot be had from npm"; return 1; }
	sha512sum --status -c - <<< "$ohif_sha512  $work/ohif-app-$ohif_version.tgz" || { echo "@ohif/app is not what it was"; return 1; }
	rm -rf "$peers/ohif"; mkdir "$peers/ohif"
	tar -xzf "$work/ohif-app-$ohif_version.tgz" -C "$peers/ohif" --strip-components=1
	touch "$peers/ohif/$ohif_version"
}

# segment NAME: the SEG of the series $work/NAME and what pydicom reads in it.
segment() {
	"$B/segan" segment "$work/$1" -o "$work/$1.dcm" --model glioma-flair > "$work/segan.out" 2>&1 || { cat "$work/segan.out"; fail "segan segment $1"; }
	[ -s "$work/$1.dcm" ] || fail "nothing was found in $1, so there is no SEG to read"
	/usr/bin/python3 "$here/truth.py" "$work/$1.dcm" "$work/$1" > "$work/$1.json"
}

job_done() { wait_line "$node_log" "job_(done|failed|rejected) job=$1 " 120 "$node_pid" > /dev/null && [ "$(job "$1" | jq -r .state)" = done ] && echo "job $1 is done"; }

# delivered JOB: the SEG that dcmjs-dimse received is that of the job, pixel bytes and voxels.
delivered() {
	local uid
	uid=$(job "$1" | jq -r '.results[0].sop_instance_uid')
	curl -sS -o "$work/job.dcm" "http://$http/api/v1/jobs/$1/seg" &&
	/usr/bin/python3 -c 'import pydicom, sys; sys.stdout.buffer.write(pydicom.dcmread(sys.argv[1]).PixelData)' "$work/job.dcm" | cmp - "$work/js/$uid.pixels" &&
	cmp <(/usr/bin/python3 "$here/truth.py" "$work/job.dcm" "$work/$2") <(/usr/bin/python3 "$here/truth.py" "$work/js/$uid.dcm" "$work/$2") && echo "$uid"
}

install_packages
demo_study "$work/demo"
# 45 x 51: no frame but the first begins on a byte.
/usr/bin/python3 "$here/oddsize.py" "$work/demo" "$work/odd" 45 51 4
cp -r "$work/demo" "$work/second"; another_study "$work/second"

for series in demo odd; do
	segment $series
	check "dcmjs reads the SEG of $series" js dcmjs.cjs "$work/$series.dcm" "$work/$series.json"
	check "cornerstone adapters place the SEG of $series" js adapters.mjs "$work/$series.dcm" "$work/$series" "$work/$series.json"
	# One segment, so the label map has the very voxels of the BINARY; each form with its own reader in there.
	"$B/segan" segment "$work/$series" -o "$work/$series.map.dcm" --model glioma-flair --format labelmap > "$work/segan.out" 2>&1 || { cat "$work/segan.out"; fail "segan segment --format labelmap"; }
	check "cornerstone adapters place the label map of $series" js adapters.mjs "$work/$series.map.dcm" "$work/$series" "$work/$series.json"
done

mkdir "$work/js"
node "$peers/dimse-scp.cjs" "$work/js" > "$work/scp.log" 2>&1 &
started+=($!)
port=$(wait_line "$work/scp.log" '^port ' 20 $!)
write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-flair", "destinations": ["js"]}]
	| .destinations = {"js": {"type": "dimse", "aet": "JSARCHIVE", "host": "127.0.0.1", "port": $port}} '"$(limits)" --argjson port "${port#port }"
start_node "$work/segand.json"
check "dcmjs-dimse asks C-ECHO and sends with C-STORE" js dimse-scu.cjs "$dicom_port" "$work/demo"
check "its study is segmented" job_done 1
check "dcmjs-dimse received the SEG" delivered 1 demo
check "dicomweb-client stores with STOW-RS" js dicomweb.cjs "http://$http/dicom-web" "$work/second"
check "its study is segmented" job_done 2
check "dcmjs-dimse received the second SEG" delivered 2 second
stop_node

if missing=$(install_viewer); then check "OHIF $ohif_version shows the SEG on its lesion" "$here/viewer.sh" "$work/demo" "$work/demo.dcm" "$work/demo.json" "$peers"
else echo "skip  OHIF: $missing"; fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
