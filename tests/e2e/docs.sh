#!/bin/bash
# What the README, the help texts and the configuration say is true: every command of the README is run, every option is in its help, every key is known,
# every make target is listed, every route is there, an installed copy finds its models.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
mkdir "$work/cwd"
/usr/bin/python3 tests/tools/mkcases.py "$work/cases"

# ---- make
sed -n 's/^\.PHONY: //p' Makefile | tr ' ' '\n' > "$work/phony"
make -s help > "$work/help"
while read -r target; do
	make -n "$target" > /dev/null 2>&1 || fail "make $target is no target"
	grep -qE "^make( [a-z-]+)* $target( |\$)" "$work/help" || fail "make help does not know $target"
done < "$work/phony"
for target in $(sed -n "s/^make \([a-z -]*[a-z]\)  .*/\1/p; s/^make \(test-peers\) .*/\1/p" "$work/help"); do
	grep -qx "$target" "$work/phony" || fail "make help names $target, which is no phony target"
done

# ---- the configuration: every key of the file is accepted, every key in effect is in the file, what is printed is read back the same
"$B/segand" --config config/segand.json --check > "$work/effective.json" 2> /dev/null || fail "segand --check refuses config/segand.json"
"$B/segand" --config "$work/effective.json" --check 2> /dev/null | cmp - "$work/effective.json" || fail "segand --check is not read back the same"
for key in $(jq -r 'to_entries[] | .key, (.value | objects | keys[])' "$work/effective.json" | sort -u); do
	grep -qE "^ *\"$key\":" config/segand.json || fail "config/segand.json does not have the key $key"
done
status=0; printf '{\n\n"data_dri": "/x"}' > "$work/bad.json"; "$B/segand" --config "$work/bad.json" --check > "$work/out" 2>&1 || status=$?
same "exit status for an unknown key" $status 2
holds "words for an unknown key" "$(cat "$work/out")" 'line 3.*data_dri'

# ---- help: every option that the code knows
options_in() { grep -ohE '\{ "[a-z-]+", (no|required)_argument' "$@" | cut -d '"' -f 2 | grep -vx help | sort -u; }
"$B/segand" --help > "$work/segand.help"
for option in $(options_in service/segand.c); do grep -q -- "--$option" "$work/segand.help" || fail "segand --help does not name --$option"; done
"$B/segan" --help > "$work/segan.help"
sed -n 's/^\t{ "\([a-z]*\)", ".*", command_.*/\1/p' service/segan.c > "$work/commands"
[ "$(wc -l < "$work/commands")" -ge 6 ] || fail "the table of commands was not understood"
while read -r command; do
	grep -qE "^  $command " "$work/segan.help" || fail "segan --help does not name $command"
	status=0; "$B/segan" "$command" --help > "$work/command.help" || status=$?
	same "exit status of segan $command --help" $status 0
	file=service/commands/$command.c; [ "$command" != echo ] || file=service/commands/send.c
	for option in $(options_in "$file"); do grep -q -- "--$option" "$work/command.help" || fail "segan $command --help does not name --$option"; done
	for option in $(grep -oE -- '(^| |\[)--[a-z-]+' "$work/command.help" | tr -d ' [' | sort -u); do
		grep -qx -- "${option#--}" <(options_in service/commands/*.[ch]; echo help) || fail "segan $command --help names $option, which nothing knows"
	done
done < "$work/commands"

# ---- routes: those of the README are those of the code
/usr/bin/python3 - <<'P' || fail "routes"
import re, sys
code = set(re.findall(r'\{ "(GET|POST)", "([^"]+)"', open('service/http/routes.c').read()))
told, bad = set(), []
for line in open('README.md'):
    if not re.match(r'\| `(GET|POST) ', line): continue
    method = base = None
    for text in re.findall(r'`([^`]+)`', line.split('|')[1]):
        m = re.match(r'(?:(GET|POST) )?(/\S*)$', text)
        if not m: continue
        method = m.group(1) or method
        paths = [m.group(2)]
        if '[' in paths[0]: paths = [re.sub(r'\[.*?\]', '', paths[0]), re.sub(r'[\[\]]', '', paths[0])]
        if not m.group(1) and (method, paths[0]) not in code: paths = [base.rsplit('/', 1)[0] + paths[0]]
        for p in paths:
            if (method, p) in code: told.add((method, p))
            else: bad.append('the README names %s %s, which is not there' % (method, p))
        base = paths[-1]
bad += ['the README does not name %s %s' % r for r in sorted(code - told)]
print('\n'.join(bad), file=sys.stderr)
sys.exit(bool(bad))
P

# ---- the README's commands, in its order, one by one
echo '{"version": "2.0.0", "width": 4, "batch": 2, "crop": 96}' > "$work/small.json"
write_config "$work/segand.json" '.series_complete_trigger = 1 '"$(limits)"
start_node "$work/segand.json"
B_absolute=$PWD/$B root=$PWD
grep -E '^    (sudo |make|build/|dcmsend|curl|segand?|install|cp|export|echo) ?' README.md | sed 's/ *#.*//; s/^ *//' > "$work/readme"
[ "$(wc -l < "$work/readme")" -ge 8 ] || fail "the README's commands were not found"
try() { # from a folder of its own, as a reader would in the clone
	(cd "$work/cwd" && PATH=$work/usr/local/bin:$PATH && eval "$1") > "$work/out" 2>&1 < /dev/null || { cat "$work/out"; fail "the README's \"$line\" ($1)"; }
	echo "ok: $line"
}
secure_node() { # with the tokens that the README made, and TLS; sets secure
	local http node_pid dicom_port node_log=$work/secure.log
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/node.key" -out "$work/cwd/ca.pem" -subj /CN=node -days 2 -addext subjectAltName=IP:127.0.0.1 2> /dev/null
	jq --arg w "$work" '.data_dir = $w + "/secure" | .http.tokens_file = $w + "/etc/segand/tokens.json" | .http.tls_certificate = $w + "/cwd/ca.pem" | .http.tls_key = $w + "/node.key"' \
		"$work/segand.json" > "$work/secure.json"
	start_node "$work/secure.json"
	secure=$http
}
while IFS= read -r line; do
	command=$(sed "s,sudo ,,g; s,/usr/local,$work/usr/local,g; s,/etc/segand,$work/etc/segand,g; s,build/segan,$B_absolute/segan,g; s,\bDIR\b,$work/study,g; s,\bCASES\b,$work/cases,g; s,--minutes 60,--steps 2,; s,\bmake\b,make -C $root B=$B,g" <<< "$line")
	case $line in
	make\ demo*|make\ test*|make\ lint*|make\ bench*) try "make -C '$root' -n ${line#make }" ;;   # too long here; they are run by whoever runs this
	dcmsend*)
		try "${command/ PORT / $dicom_port }"
		wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > "$work/line"; holds "the README's study" "$(cat "$work/line")" job_done ;;
	*https://node:8443*) [ -n "${secure:-}" ] || secure_node; command=${command//node:8443/$secure}; try "${command/#curl/curl -fsS}" ;;
	curl*|*segan\ jobs*) command=${command//127.0.0.1:PORT/$http}; try "${command/#curl/curl -fsS}" ;;
	*segan\ train*) case $B in *asan*|*tsan*) command=${command/my.json/$work/small.json} ;; esac; try "$command" ;;
	*segan\ model\ promote*) # two steps train nothing: the refusal is the truth
		try "! $command --config $work/etc/segand/segand.json"
		holds "the README's \"$line\"" "$(cat "$work/out")" 'not better than the model in service' ;;
	*segan\ model\ add*|segan\ evaluate*) try "$command --config $work/etc/segand/segand.json" ;;
	segand*--check) try "$command"; grep -q 'would not start' "$work/out" && fail "an installed segand does not find its models: $(cat "$work/out")" ;;
	segand*)
		sed -i 's,"/var/lib/segand","'"$work"'/var",; s,"port": 11112,"port": 0,; s,"port": 8080,"port": 0,' "$work/etc/segand/segand.json"
		stop_node; node_log=$work/installed.log
		(B=$work/usr/local/bin; start_node "$work/etc/segand/segand.json"; stop_node) || fail "the README's \"$line\""
		echo "ok: $line"
		node_log=$work/segand.log; start_node "$work/segand.json" ;;
	*) try "$command" ;;
	esac
done < "$work/readme"
sed -n '/^{"channels": {/,/^```/p' README.md | grep -v '^```' > "$work/my-layout.json"
"$B/segan" dataset create "$work/x" --channels flair,t1c --nifti "$work/cases" --layout "$work/my-layout.json" > "$work/out" 2>&1 && fail "other cases fit the README's layout"
holds "the README's layout" "$(cat "$work/out")" 'does not match .pat'
[ -s "$work/cwd/report.html" ] || fail "the README's segan evaluate made no report.html"
[ -s "$work/cwd/seg.dcm" ] && [ -s "$work/cwd/seg.png" ] || fail "the README's segan segment made no seg.dcm and seg.png"
stop_node

# ---- the installed copy needs nothing of the clone
[ -x "$work/usr/local/bin/segan" ] || fail "make install did not install segan"
(cd / && env -i "$work/usr/local/bin/segan" model list) > "$work/out" || fail "an installed segan finds no models"
same "models of an installed segan" "$(grep -c 'glioma-flair@' "$work/out")" "$(find model/shipped/glioma-flair -name model.json | wc -l)"
(cd / && env -i "$work/usr/local/bin/segan" segment "$work/study" -o "$work/installed.dcm" > "$work/out" 2>&1) || { cat "$work/out"; fail "an installed segan segments nothing"; }
make -s install B="$B" PREFIX=/opt/x DESTDIR="$work/package" > /dev/null
grep -q '"models_dir": "/opt/x/share/segand/models"' "$work/package/opt/x/share/doc/segand/segand.json" || fail "DESTDIR got into the configuration"
echo "documents are true"
