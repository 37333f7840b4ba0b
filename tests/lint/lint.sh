#!/bin/sh
# Everything that can be judged without running: directions, style, and both compilers with warnings as errors.
set -u
cd "$(dirname "$0")/../.."
bad=0
tests/lint/layers.sh || bad=1
tests/lint/style.sh || bad=1
for f in $(find tests deploy .ci -name '*.sh' -o -name run -type f); do
	case $(head -1 "$f") in
	*bash*) bash -n "$f" || bad=1 ;;
	*) sh -n "$f" || bad=1 ;;
	esac
done
mkdir -p build
for cc in gcc clang; do
	command -v $cc >/dev/null || { echo "lint: $cc is not installed (deploy/install-deps.sh test)"; bad=1; continue; }
	cxx=$([ $cc = gcc ] && echo g++ || echo clang++)
	if make -s -k -j"$(nproc)" B="build/lint-$cc" CC=$cc CXX=$cxx OPT=-O1 CFLAGS=-Werror CXXFLAGS=-Werror all unit >"build/lint-$cc.log" 2>&1; then
		echo "warnings: none with $cc"
	else
		grep -E ': (error|warning|undefined)' "build/lint-$cc.log" | sort -u | head -40
		bad=1
	fi
done
exit $bad
