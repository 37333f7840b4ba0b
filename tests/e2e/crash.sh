#!/bin/bash
# kill -9 of the daemon, its worker or both, at random instants and at every named step (each write, fsync, rename, commit and answer from the first PDU to the last
# delivery; tests/tools/strike.c), then a restart. Judged from outside: what was acknowledged is there byte for byte, no job is stuck, what was cancelled stays so,
# every result is at the archives once and under its UID with one content only.
#   POINTS=500 SEED=7 tests/e2e/crash.sh     (make soak)
. "$(dirname "$0")/lib.sh"
case $B in *asan*|*tsan*) default=3 named=no ;; *) default=40 named=yes ;; esac # what is preloaded must not come before a sanitizer
points=${POINTS:-$default}
seed=${SEED:-$RANDOM}; RANDOM=$seed
echo "seed $seed"

demo_study "$work/demo"
/usr/bin/python3 tests/tools/crash.py make "$work/demo" "$work/studies" $((points + 2)) "$work/index"
start_archive archive +uf
mkdir "$work/stow"
/usr/bin/python3 tests/tools/stow_receiver.py "$work/stow" > "$work/stow.log" 2>&1 & started+=("$!")
stow_port=$(wait_line "$work/stow.log" '^port ' 20 $! | sed 's/port //')
write_config "$work/segand.json" '.series_complete_trigger = 1 | .series_interrupted_trigger = 30 | .retry_delay = 1 | .retry_max = 2 | .max_attempts = 20
	| .models = [{"name": "glioma-flair@0.1.0", "destinations": ["archive", "stow"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port, "timeout": 10, "results": ["seg", "report", "preview"]},
		"stow": {"type": "stow", "url": "http://127.0.0.1:\($stow)/dicom-web", "timeout": 10}} '"$(limits)" --argjson port "$archive_port" --argjson stow "$stow_port"
: > "$work/acknowledged"; : > "$work/steps"
[ $named = no ] || cc -D_GNU_SOURCE -shared -fPIC -o "$work/strike.so" tests/tools/strike.c -ldl

# ---- senders: what was answered with success goes to the lists

acknowledge() { tee -a "$work/now" >> "$work/acknowledged"; }

send_dimse() {
	rm -f "$work/report"
	dcmsend -q -aec SEGAN -to 10 -ta 10 -td 10 127.0.0.1 "$dicom_port" +sd "$1" +crf "$work/report" > /dev/null 2>&1 || true
	[ ! -e "$work/report" ] || awk '/^SOP Instance / { uid = $NF } /^DIMSE Status.*0x0000/ { print uid }' "$work/report" | acknowledge
}

send_stow() { # two requests of three
	local part
	for part in "[0-2]" "[3-5]"; do
		# shellcheck disable=SC2086
		stow_body "$work/body" "$1"/$part.dcm
		stow "$work/body" 2> /dev/null | head -n -1 | jq -r '.["00081199"].Value[]?["00081155"].Value[0]' 2> /dev/null | acknowledge || true
	done
}

send() { # HOW DIR: fails when not all was acknowledged
	: > "$work/now"
	"send_$1" "$2"
	[ "$(sort -u "$work/now" | wc -l)" = 6 ]
}

# ---- the node

alive() { kill -0 "$node_pid" 2> /dev/null; }
dead() { wait "$node_pid" 2> /dev/null || true; }
start() { # to be struck at $strike while $work/arm is there
	if [ $named = no ]; then start_node "$work/segand.json"; return; fi
	STRIKE_AT=$strike STRIKE_ARM=$work/arm STRIKE_DONE=$work/struck.$((point + 1)) STRIKE_LOG=$log LD_PRELOAD=$work/strike.so start_node "$work/segand.json"
}
kill_now() { # daemon|worker|both
	local worker
	worker=$(pgrep -P "$node_pid" -f -- --worker | head -1) || true # none before the first job
	[ "$1" = worker ] || kill -KILL "$node_pid" 2> /dev/null || true
	[ "$1" = daemon ] || [ -z "$worker" ] || kill -KILL "$worker" 2> /dev/null || true
}

newest_job() { curl -s "http://$http/api/v1/jobs?study=$1" | jq -r '.jobs[0] // {"id": 0, "state": "none"} | "\(.id) \(.state)"' || true; }
state_of() { newest_job "$1" | cut -d' ' -f2; }
# The row counts, not the line: a node killed between the two has said nothing, and the next one has nothing to do.
has_ended() { case $(state_of "$1") in done|failed|rejected|cancelled) ;; *) return 1 ;; esac; }
until_over() { # UID: 1 when the node is gone before the job has ended
	local n
	for n in $(seq 45); do
		alive || return 1
		! has_ended "$1" || return 0
		wait_line "$node_log" "job_(done|failed|rejected|cancelled) job=[0-9]+ study=$1" 2 "$node_pid" > /dev/null 2>&1 || true
	done
	fail "point $point: the job of $1 is stuck: $(newest_job "$1")"
}

# ---- which steps there are: of a study on its way in, and of its job and its deliveries

declare -A in_count job_count
declare -a in_names job_names
learn() {
	local how count name
	log=$work/steps
	touch "$work/arm"
	start
	: > "$work/steps"
	for how in dimse stow; do send $how "$work/studies/$([ $how = dimse ] && echo 1 || echo x1)" || fail "not all was acknowledged by a node that nobody strikes"; done
	sort "$work/steps" | uniq -c > "$work/steps.in"; : > "$work/steps"
	until_over 2.25.7100001 || fail "the node ended by itself"
	same "a job that nobody strikes" "$(state_of 2.25.7100001)" "done"
	sort "$work/steps" | uniq -c > "$work/steps.job"
	while read -r count name; do in_count[$name]=$count; in_names+=("$name"); done < "$work/steps.in"
	while read -r count name; do job_count[$name]=$count; job_names+=("$name"); done < "$work/steps.job"
	echo "steps: ${#in_names[@]} names on the way in, ${#job_names[@]} of a job: ${in_names[*]} | ${job_names[*]}"
	rm "$work/arm"; log=/dev/null
	stop_node
}

nth() { echo $((1 + RANDOM % ($1 / 2 + 1))); } # the steps were counted over two senders, two destinations
when() { local all=(before half after); echo "${all[RANDOM % 3]}"; }
next_in=0 next_job=0
plan() { # POINT: sets kind and strike
	strike=""
	kind=instant
	if [ $named = yes ]; then
		case $(($1 % 10)) in
		1|2|4|6|8) kind=in; local name=${in_names[next_in++ % ${#in_names[@]}]}; strike=$name:$(nth "${in_count[$name]}"):$(when) ;;
		3|7) kind=job ;;
		5) kind=again ;;
		9) kind=cancel; local steps=(daemon.write.wal daemon.fsync.wal daemon.send.in); strike=${steps[RANDOM % 3]}:$((1 + RANDOM % 2)):$(when) ;;
		esac
		case $kind in job|again) local name=${job_names[next_job++ % ${#job_names[@]}]}; strike=$name:$(nth "${job_count[$name]}"):$(when) ;; esac
	fi
}

# ---- points

sender() { [ $((RANDOM % 2)) = 0 ] && echo dimse || echo stow; }

point_in() { # a study that no rule takes
	touch "$work/arm"
	send "$how" "$dir" || true
}

point_job() {
	send "$how" "$dir" || fail "point $point: sending"
	touch "$work/arm"
	until_over "$uid" || true
}

point_again() { # the node that takes up what point_job left, from its first step on
	! alive || until_over "$uid" || true
}

point_instant() {
	local ms=$((RANDOM % 2000)) all=(daemon worker both)
	strike="${all[RANDOM % 3]} after $ms ms"
	{ read -rt "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" <> <(:) || true; kill_now "${strike%% *}"; } & local striker=$!
	send "$how" "$dir" || true
	wait "$striker"
}

point_cancel() {
	local id
	cancelled=""
	send "$how" "$dir" || fail "point $point: sending"
	[ $((RANDOM % 2)) = 0 ] || wait_line "$node_log" "job_running job=[0-9]+ study=$uid" 20 "$node_pid" > /dev/null
	read -r id _ < <(newest_job "$uid")
	touch "$work/arm"
	case $(curl -s -m 10 -o /dev/null -w '%{http_code}' -X POST "http://$http/api/v1/jobs/$id/cancel") in 2*) cancelled=$id ;; esac
	! alive || kill_now both
}

after_cancel() { # what was answered holds; a cancelled job is run again when somebody asks
	local id state
	read -r id state < <(newest_job "$uid")
	[ -z "$cancelled" ] || same "point $point: job $cancelled, whose cancel was answered" "$state" cancelled
	[ "$state" != cancelled ] || "$B/segan" jobs retry "$id" --url "http://$http" > /dev/null || fail "point $point: retry"
}

acknowledged_is_there() { /usr/bin/python3 tests/tools/crash.py acknowledged "$1" "$work/index" "$work/data" || fail "point $point ($kind, $strike): what was acknowledged"; }

# A job that is computed again gives the same bytes: what a killed node had kept is compared with what its job has at last.
keep_computed() {
	local id
	read -r id < <(sqlite3 -readonly "$work/data/segand.db" "select max(id) from jobs where study_uid = '$uid'" 2> /dev/null) || return 0
	[ -z "$id" ] || [ ! -d "$work/data/results/$id" ] || { mkdir -p "$work/computed"; cp -r "$work/data/results/$id" "$work/computed/"; }
}
same_computed() {
	local file
	[ -d "$work/computed" ] || return 0
	for file in "$work/computed"/*/*; do
		case $file in *.dcm|*.png) ;; *) continue ;; esac # a temporary name
		cmp "$file" "$work/data/results/${file#"$work/computed/"}" || fail "point $point ($was): computed again, ${file##*/} is another"
		computed=$((computed + 1))
	done
	rm -r "$work/computed"
}

rest() { # the study of this point, on a node that nobody strikes, to its end
	[ "$1" != cancel ] || after_cancel
	[ "$(sort -u "$work/now" | wc -l)" = 6 ] || send "$how" "$dir" || fail "point $point: sending again"
	[ "$1" != in ] || return 0
	until_over "$uid" || fail "point $point: the node is gone"
	same "point $point ($1, $was): state of the job" "$(state_of "$uid")" "done"
	same_computed
}

strike="" point=0 log=/dev/null
[ $named = no ] || learn
computed=0
plan 1
start
for point in $(seq "$points"); do
	if [ $kind != again ]; then
		how=$(sender) number=$((point + 1))
		case $kind in in) dir=$work/studies/x$number ;; *) dir=$work/studies/$number uid=2.25.7$((100000 + number)) ;; esac
	fi
	"point_$kind"
	now=$kind was=$strike
	case $strike in worker*) ;; *) ! alive || kill_now daemon; dead ;; esac # a step that did not come: a kill at the end of it all
	rm -f "$work/arm"
	alive || [ $kind = in ] || keep_computed
	plan $((point + 1))
	[ $kind != again ] || [ $now = job ] || kind=instant strike=""
	if [ $kind = again ]; then touch "$work/arm"; fi
	if ! alive; then start 2> "$work/start.log" || { [ $kind = again ] || { cat "$work/start.log"; fail "point $point: no start"; }; dead; }
	elif [ $kind != instant ]; then kill_now daemon; dead; start; fi
	acknowledged_is_there "$work/now"
	[ $kind = again ] || rest $now
done
rm -f "$work/arm"
alive || { strike=""; start; }
[ $kind != again ] || rest job

# ---- judged from outside
curl -sS "http://$http/api/v1/jobs?limit=1000" | jq .jobs > "$work/jobs.json"
stop_node
db() { sqlite3 -readonly "$work/data/segand.db" "$1"; }
same "integrity" "$(db 'pragma integrity_check')" ok
same "jobs that are neither done nor cancelled" "$(db "select count(*) from jobs where state not in ('done', 'cancelled')")" 0
acknowledged_is_there "$work/acknowledged"
/usr/bin/python3 tests/tools/crash.py results "$work/jobs.json" "$work/archive" "$work/stow" || fail "the archives"
[ -z "$(ls "$work/data/tmp" "$work/data/work" | grep -v :)" ] || fail "temporary files are left: $(ls "$work/data/tmp" "$work/data/work")"
[ $named = no ] || echo "$(find "$work" -name 'struck.*' -size +0 | wc -l) strikes at named steps"
echo "$points points, $(sort -u "$work/acknowledged" | wc -l) instances acknowledged, $computed files compared after a crash: nothing was lost, nothing is stuck, each result is there once"
