#!/bin/sh
# Installs the Debian packages that are missing, by name; does nothing when all are there.
#   install-deps.sh        to build, run and demonstrate
#   install-deps.sh test   also what the tests need
#   install-deps.sh bench  also the peers of the benchmarks
#   install-deps.sh fuzz   also clang and its libFuzzer
#   install-deps.sh coverage  also gcovr and valgrind
#   install-deps.sh viewer  also what shows a SEG in OHIF (make test-peers)
# As root, or as a user who may use sudo. Repeatable.
set -eu

build='build-essential pkg-config libdcmtk-dev libopenjp2-7-dev libmicrohttpd-dev libgnutls28-dev libopenblas-pthread-dev libcjson-dev libsqlite3-dev libcurl4-openssl-dev libpng-dev libssl-dev libseccomp-dev zlib1g-dev libnifti-dev'
demo='dcmtk curl xz-utils jq'
test='libopenjp2-tools libxml2-utils libcmocka-dev sqlite3 python3 python3-numpy python3-pydicom python3-nibabel dicom3tools strace clang universal-ctags procps openssl orthanc qemu-user'
coverage='gcovr valgrind'
fuzz='clang libclang-rt-14-dev llvm'
bench='python3-torch bc'
# Node comes from many places; any will do.
command -v node >/dev/null && command -v npm >/dev/null || bench="$bench nodejs npm"
viewer='orthanc orthanc-dicomweb chromium iproute2 util-linux'

want="$build $demo"
case "${1:-}" in
'') ;;
test) want="$want $test" ;;
bench) want="$want $test $bench" ;;
coverage) want="$want $test $coverage" ;;
fuzz) want="$want $fuzz" ;;
viewer) want="$want $test $viewer" ;;
*) echo "usage: install-deps.sh [test|bench|coverage|fuzz|viewer]" >&2; exit 2 ;;
esac

missing=
for package in $want; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "install-deps: these packages are missing and there is no sudo; as root: apt-get install$missing" >&2; exit 1; }
	sudo=sudo
fi
echo "installing:$missing"
# A machine that has never asked for the package lists has none; ask once, then install.
export DEBIAN_FRONTEND=noninteractive
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
# Debian starts some of them as services; the tests start their own and leave nothing running.
case "$missing " in
*' orthanc '*) $sudo systemctl disable --now orthanc >/dev/null 2>&1 || $sudo service orthanc stop >/dev/null 2>&1 || true ;;
esac
