#!/bin/sh
# What a machine can see of the house style (STYLE): banned functions, goto, long functions, long headers, leftovers.
set -eu
cd "$(dirname "$0")/../.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
sources() { find config model dicom db service -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.hh'; }

sources | xargs grep -nE '(^|[^A-Za-z0-9_.>])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|localtime|gmtime|rand|srand|system|popen|alloca)[[:space:]]*\(' | sed 's/$/   <- banned function/' >> "$out" || true
sources | xargs grep -nE '\bgoto[[:space:]]+' | grep -vE 'goto[[:space:]]+out;' | sed 's/$/   <- goto only to out:/' >> "$out" || true
sources | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b' | sed 's/$/   <- finish it or say it in the issue/' >> "$out" || true
sources | xargs grep -nE '\b(sleep|usleep|nanosleep)[[:space:]]*\(' | sed 's/$/   <- wait for an event/' >> "$out" || true
sources | xargs grep -nE '^[[:space:]]*catch[[:space:]]*\(\.\.\.\)[[:space:]]*\{[[:space:]]*\}' | sed 's/$/   <- silent catch/' >> "$out" || true
for h in $(sources | grep -E '\.(h|hh)$'); do
	lines=$(wc -l < "$h"); [ "$lines" -le 180 ] || echo "$h: $lines lines; a header of over 180 is two" >> "$out"
done
for f in $(sources); do
	lines=$(wc -l < "$f"); [ "$lines" -le 700 ] || echo "$f: $lines lines; would a reader see two rooms in one?" >> "$out"
done
# Function length, from its name to its closing brace. Over 80 lines only with "long:" and a reason in the ten lines above it.
if command -v ctags >/dev/null; then
	sources | grep -E '\.(c|cc)$' | xargs ctags --fields=+ne -f - --kinds-C=f --kinds-C++=f --languages=C,C++ 2>/dev/null | awk -F'\t' '{
		line = end = 0
		for (i = 4; i <= NF; i++) { if ($i ~ /^line:/) line = substr($i, 6); if ($i ~ /^end:/) end = substr($i, 5) }
		if (end > 0) print $2, line, end, $1 }' | while read -r file line end name; do
		n=$((end - line + 1)); first=$((line > 10 ? line - 10 : 1))
		[ "$n" -le 80 ] || sed -n "${first},${line}p" "$file" | grep -q 'long:' || echo "$file:$line: $name has $n lines (80 at most)" >> "$out"
	done
fi
if [ -s "$out" ]; then cat "$out"; exit 1; fi
echo "style: no banned function, leftover, long function or long header"
