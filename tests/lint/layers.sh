#!/bin/sh
# Proves the directions between rooms: service -> {dicom, model, db} -> config; dicom, model and db never include each other; and that only the rooms of
# the table may include other people's libraries. Prints one line a breach; exit 1 when there is any.
set -eu
cd "$(dirname "$0")/../.."
breaches=$(mktemp)
trap 'rm -f "$breaches"' EXIT

# file:line:include for every include of ours ("x/y.h") and of others (<x.h>)
list() { grep -rnE '^[[:space:]]*#[[:space:]]*include' config model dicom db service --include='*.c' --include='*.h' --include='*.cc' --include='*.hh'; }

list | awk -F: '
function room(path) { split(path, p, "/"); return p[1] }
BEGIN {
	may["config"] = " config "; may["model"] = " config model "; may["dicom"] = " config dicom "; may["db"] = " config db "
	may["service"] = " config model dicom db service "
	# library -> regular expression of the files that may include it
	only["cblas.h"] = "^model/(nn/|segan\\.c|compute\\.c)"; only["openblas_config.h"] = only["cblas.h"]
	only["sqlite3.h"] = "^db/"; only["microhttpd.h"] = "^service/http/"; only["gnutls/gnutls.h"] = "^service/http/tls\\.c$"; only["gnutls/x509.h"] = only["gnutls/gnutls.h"]; only["curl/curl.h"] = "^service/(flow/(deliver|retrieve)|http/client)"
	only["cJSON.h"] = "^config/json"; only["cjson/cJSON.h"] = "^config/json"; only["png.h"] = "^service/flow/preview\\.c$"
	only["seccomp.h"] = "^service/flow/sandbox\\.c$"; only["zlib.h"] = "^(service/flow/nifti\\.c|dicom/bytes\\.h)$"; only["openjpeg.h"] = "^dicom/jpeg2000\\.c$"
	only["nifti1_io.h"] = "^service/commands/dataset_nifti\\.c$"; only["znzlib.h"] = only["nifti1_io.h"]
}
{
	file = $1; text = $0; sub(/^[^:]*:[^:]*:/, "", text)
	if (match(text, /"[^"]+"/)) {
		target = substr(text, RSTART + 1, RLENGTH - 2)
		if (index(target, "/") == 0 || target ~ /^\./) print file ":" $2 ": include our headers from the root, not \"" target "\""
		else if (index(may[room(file)], " " room(target) " ") == 0) print file ":" $2 ": " room(file) "/ may not include " target
	} else if (match(text, /<[^>]+>/)) {
		target = substr(text, RSTART + 1, RLENGTH - 2)
		if (target ~ /^dcmtk\// && file !~ /^dicom\/.*\.(cc|hh)$/) print file ":" $2 ": only dicom/*.cc may include DCMTK"
		if (target ~ /^openssl\// && file !~ /^(config\/(digest|file)\.c|service\/http\/auth|dicom\/tls\.cc$)/) print file ":" $2 ": only config/digest, http/auth and dicom/tls.cc may include OpenSSL"
		if (target in only && file !~ only[target]) print file ":" $2 ": " target " is not for this file"
	}
}' > "$breaches"

# C++ stays inside dicom/
find . -path ./build -prune -o \( -name '*.cc' -o -name '*.hh' -o -name '*.cpp' \) -print | grep -v '^\./dicom/' | sed 's/$/: C++ only in dicom\//' >> "$breaches" || true

if [ -s "$breaches" ]; then cat "$breaches"; exit 1; fi
echo "layers: every include goes in an allowed direction"
