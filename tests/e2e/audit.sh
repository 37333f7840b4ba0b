#!/bin/bash
# The audit trail: who did what to which study, in the database, over REST for admins, and as DICOM audit messages at a syslog, which may come late. Messages are valid
# by the schema, and nobody's name stands in them. Nothing is segmented.
. "$(dirname "$0")/lib.sh"

tokens=$work/tokens.json
for role in viewer operator admin; do "$B/segan" token add "the-$role" --role "$role" --tokens-file "$tokens" > "$work/$role.token" 2> "$work/token.log"; done
ask() { # ROLE METHOD PATH [curl options]: the status; the answer is in $work/answer
	local role=$1 method=$2 path=$3; shift 3
	curl -sS -o "$work/answer" -w '%{http_code}' -X "$method" -H "Authorization: Bearer $(cat "$work/$role.token")" "$@" "http://$http$path"
}
events() { # JQ-FILTER: how many events of the trail fit
	same "the trail for the admin" "$(ask admin GET '/api/v1/audit?limit=1000')" 200
	jq "[.events[] | select($1)] | length" "$work/answer"
}
listener() {
	: > "$work/syslog.log"
	tests/tools/syslog_listener.py "$work/log" "$work/messages" > "$work/syslog.log" 2>&1 &
	listener_pid=$!
	started+=("$listener_pid")
	wait_line "$work/syslog.log" '^ready' 30 "$listener_pid" > /dev/null
}

demo_study "$work/demo"
canaries=$(tests/tools/mkcanary.py "$work/demo" "$work/study" 95 | paste -sd '|')
study=$(dcmdump -q +P StudyInstanceUID "$work/study/0001.dcm" 2> /dev/null | sed 's/.*\[\(.*\)\].*/\1/')
write_config "$work/segand.json" '.dicom.accept_unknown_peers = false | .dicom.peers = {"MR1": {"aet": "MR1"}, "FAR": {"aet": "FAR", "host": "192.0.2.1"}} | .series_complete_trigger = 3000 | .series_interrupted_trigger = 3000
	| .http.tokens_file = $tokens | .audit.syslog = $log | .models = [{"name": "glioma-flair"}]
	| .destinations = {"mute": {"type": "dimse", "aet": "MUTE", "host": "127.0.0.1", "port": 104}}' --arg tokens "$tokens" --arg log "$work/log"

# ---- nobody listens yet: nothing waits for it
start_node "$work/segand.json"
wait_line "$node_log" 'warn audit_syslog_away' 30 "$node_pid" > /dev/null
dcmsend -aet STRANGER -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study" > "$work/dcmsend.log" 2>&1 && fail "an unknown AE title may send"
echoscu -aet FAR -aec SEGAN 127.0.0.1 "$dicom_port" > "$work/echoscu.log" 2>&1 && fail "a peer may send from another address than its own"
echoscu -aet MUTE -aec SEGAN 127.0.0.1 "$dicom_port" > "$work/echoscu.log" 2>&1 && fail "a destination that is asked for no commitment may call"
dcmsend -aet MR1 -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study" > "$work/dcmsend.log" 2>&1 || fail "dcmsend"
same "by the table" "$(events '.event == "Security Alert" and .type == "Node Authentication" and .who.aet == "STRANGER" and .who.address == "127.0.0.1" and .outcome == 4')" 1
same "what came" "$(events ".event == \"DICOM Instances Transferred\" and .code == 110104 and .action == \"C\" and .who.aet == \"MR1\" and .study_uid == \"$study\" and .outcome == 0
	and .objects == [{sop_class: \"1.2.840.10008.5.1.4.1.1.4\", instances: 26}]")" 1
same "the start" "$(events '.event == "Application Activity" and .type == "Application Start" and .who.user != null and (.text | test("models glioma-flair@[0-9.]+$"))')" 1

# ---- it begins to listen, and is told all from the first
listener
same "a wrong token" "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer 0123' "http://$http/api/v1/jobs")" 401
wait_line "$node_log" 'info audit_syslog_back' 30 "$node_pid" > /dev/null
wait_line "$work/syslog.log" '0000 good Application Activity' 30 "$listener_pid" > /dev/null
wait_line "$work/syslog.log" 'good DICOM Instances Transferred' 30 "$listener_pid" > /dev/null
wait_line "$work/syslog.log" 'good User Authentication' 30 "$listener_pid" > /dev/null

# ---- persons
/usr/bin/python3 tests/tools/mutate.py good "$work/study" "$work/second" 96
stow_body "$work/body" "$work/second/0003.dcm"
same "STOW" "$(ask operator POST /dicom-web/studies -H 'Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo' --data-binary "@$work/body")" 200
same "whose token it was" "$(events '.code == 110104 and .who.token == "the-operator" and .who.role == "operator" and .objects[0].instances == 1')" 1
same "cancel by the viewer" "$(ask viewer POST /api/v1/jobs/1/cancel)" 403
wait_line "$node_log" 'job_receiving job=1 ' 60 "$node_pid" > /dev/null
same "cancel by the operator" "$(ask operator POST /api/v1/jobs/1/cancel)" 200
same "cancel again" "$(ask operator POST /api/v1/jobs/1/cancel)" 409
same "a session" "$(ask viewer POST /api/v1/session)" 200
same "the trail for the operator" "$(ask operator GET /api/v1/audit)" 403
same "refused" "$(events '.type == "Use of Restricted Function" and .who.token == "the-viewer"')" 1
same "cancelled, once" "$(events ".event == \"Job changed by a person\" and .type == \"Cancel\" and .job == 1 and .study_uid == \"$study\" and .who.token == \"the-operator\"")" 1
same "the session" "$(events '.event == "User Authentication" and .type == "Login" and .outcome == 0 and .who.token == "the-viewer"')" 1
same "the wrong token" "$(events '.event == "User Authentication" and .outcome == 4 and .who.token == null and .who.address == "127.0.0.1"')" 1
[ "$(events '.event == "Audit Log Used" and .who.token == "the-admin"')" -gt 3 ] || fail "who reads the trail is not in it"

# ---- commands beside the node; what cannot be recorded gives no right, and takes one away all the same
segan() { "$B/segan" "$@" --config "$work/segand.json" > "$work/segan.out" 2> "$work/segan.err"; }
segan token add late --role admin || fail "token add: $(cat "$work/segan.err")"
segan token add late --role viewer && fail "the same name twice"
segan token revoke late || fail "token revoke: $(cat "$work/segan.err")"
promoted=0.1.0; case $B in *asan*|*tsan*) promoted=1.0.0 ;; esac # the one that is not in service (lib.sh)
segan model promote glioma-flair@$promoted --force --reason 'a test' || fail "model promote: $(cat "$work/segan.err")"
segan model rollback glioma-flair || fail "model rollback: $(cat "$work/segan.err")"
by_user='.event == "Security Alert" and .who.user != null and .who.token == null'
same "rights" "$(events "$by_user and .type == \"User Security Attributes Changed\" and .outcome == 0 and (.text | test(\"^token late (added, (admin|viewer)|revoked)$\"))")" 3
same "one that came to nothing" "$(events "$by_user and .outcome == 8 and (.text | test(\"token late added, viewer; it failed: .*late\"))")" 1
same "models" "$(events "$by_user and .type == \"Software Configuration\" and (.text | test(\"^model glioma-flair(@$promoted promoted: a test| rolled back)$\"))")" 2
cp -r model/shipped/glioma-flair/0.1.0 "$work/candidate"
jq '.version = "0.9.0"' model/shipped/glioma-flair/0.1.0/model.json > "$work/candidate/model.json"
segan model add "$work/candidate" || fail "model add: $(cat "$work/segan.err")"
segan model add "$work/candidate" && fail "a model is added twice"
added="$by_user and .type == \"Software Configuration\" and (.text | startswith(\"model glioma-flair@0.9.0 added from $work/candidate\"))"
same "what was added, and not twice" "$(events "$added and .outcome == 0") $(events "$added and .outcome == 8 and (.text | test(\"it failed: \"))")" "2 1"
segan backup "$work/backup" || fail "backup: $(cat "$work/segan.err")"
same "a backup" "$(events ".event == \"Export\" and .action == \"R\" and .who.user != null and .outcome == 0 and .destination == \"$work/backup\" and .text == \"segan backup of the whole node to $work/backup\"")" 1
mkdir "$work/other"; sqlite3 "$work/other/segand.db" 'pragma user_version = 99'
jq --arg w "$work" '.data_dir = $w + "/other" | .http.tokens_file = $w + "/others.json"' "$work/segand.json" > "$work/other.json"
other() { "$B/segan" token "$@" --config "$work/other.json" > "$work/segan.out" 2> "$work/segan.err"; }
token() { "$B/segan" token "$@" --tokens-file "$work/others.json" > "$work/segan.out" 2> "$work/segan.err"; }
token add kept --role admin || fail "token add: $(cat "$work/segan.err")"
holds "that nothing is recorded" "$(cat "$work/segan.err")" 'in no audit trail: .*others.json is not the tokens_file'
other add unseen --role admin && fail "a right that nobody sees"
holds "why not" "$(cat "$work/segan.err")" 'nothing was done: the node.s audit trail cannot record it .*another version'
! grep -q unseen "$work/others.json" || fail "it was given all the same"
other revoke kept || fail "a right cannot be taken away: $(cat "$work/segan.err")"
holds "that it is not recorded" "$(cat "$work/segan.err")" 'warning: revoked all the same: .*cannot record'
rm "$work/other/segand.db"
other add first --role admin || fail "before the first start: $(cat "$work/segan.err")"
holds "that there is no trail yet" "$(cat "$work/segan.err")" 'in no audit trail: there is no database'

# ---- asking
same "of a study" "$(ask admin GET "/api/v1/audit?study=$study")" 200
same "all are of it" "$(jq -r --arg s "$study" '[.events[] | select(.study_uid != $s)] | length' "$work/answer")" 0
same "a page" "$(ask admin GET '/api/v1/audit?limit=2')" 200
next=$(jq -r .next "$work/answer") last=$(jq '.events[1].id' "$work/answer")
same "the cursor" "$next" "$last"
same "the next page" "$(ask admin GET "/api/v1/audit?limit=2&cursor=$next"; jq ".events[0].id" "$work/answer")" "200$((last - 1))"
same "since tomorrow" "$(ask admin GET "/api/v1/audit?since=$(date -u -d tomorrow +%FT%TZ)"; jq '.events | length' "$work/answer")" 2000
for bad in 'study=x' 'limit=0' 'since=yesterday' 'cursor=-1' 'patient=x'; do same "$bad" "$(ask admin GET "/api/v1/audit?$bad")" 400; done

# ---- killed, and started again: what was not told is told
kill "$listener_pid"; wait "$listener_pid" || true; rm -f "$work/log"
same "while nobody listens" "$(ask admin GET '/api/v1/audit?limit=1')" 200
kill -KILL "$node_pid"; wait "$node_pid" || true
segan spool reindex || fail "spool reindex: $(cat "$work/segan.err")"
jq --arg w "$work" '.data_dir = $w + "/restored"' "$work/segand.json" > "$work/restored.json"
"$B/segan" restore "$work/backup" --config "$work/restored.json" > "$work/segan.out" 2>&1 || fail "restore: $(cat "$work/segan.out")"
same "a restore, in the trail that goes on" "$(sqlite3 "$work/restored/segand.db" "select event, action, outcome, user is not null, text from audit order by id desc limit 1")" "110107|C|0|1|segan restore of the whole node from $work/backup"
segan() { "$B/segan" "$@" --config "$work/restored.json" > "$work/segan.out" 2> "$work/segan.err"; }
echo broken > "$work/restored/segand.db"
segan spool reindex || fail "spool reindex: $(cat "$work/segan.err")"
same "a new trail begins with who made it" "$(sqlite3 "$work/restored/segand.db" "select event, type, user is not null, text from audit")" '110113|110131|1|segan spool reindex: the database was made anew, and with it the audit trail'
sqlite3 "$work/restored/segand.db" "pragma user_version = $(($(sqlite3 "$work/restored/segand.db" 'pragma user_version') - 1))" # before an upgrade's first start
segan backup "$work/late" || fail "a backup of what cannot record it: $(cat "$work/segan.err")"
holds "its warning" "$(cat "$work/segan.err")" 'warning: backed up all the same: the node.s audit trail cannot record it'
listener
start_node "$work/segand.json"
wait_line "$work/syslog.log" 'good Application Activity' 30 "$listener_pid" > /dev/null
stop_node
same "rows that were not told" "$(sqlite3 "$work/data/segand.db" 'select count(*) from audit where id > (select id from audit_told)')" 0
[ "$(find "$work/messages" -name '*.xml' | wc -l)" -ge "$(sqlite3 "$work/data/segand.db" 'select count(*) from audit')" ] || fail "a row was never told"
grep -l 'Application Stop' "$work/messages"/*.xml > /dev/null || fail "the stop was not told"
! grep ' bad ' "$work/syslog.log" || fail "a line is not as it should be"
xmllint --noout --nonet --relaxng tests/data/audit.rng "$work/messages"/*.xml 2> "$work/xmllint.log" || { cat "$work/xmllint.log"; fail "a message is not valid"; }

# ---- nobody's name
grep -qaE "$canaries" "$work/study/0003.dcm" || fail "the canaries are not in the study"
cat "$work/messages"/* > "$work/all"; sqlite3 "$work/data/segand.db" '.dump audit' > "$work/dump"
for file in all dump segand.log answer; do ! grep -aE -m 3 "$canaries" "$work/$file" || fail "whose images they are stands in $file"; done
for role in viewer operator admin; do ! grep -q -f "$work/$role.token" "$work/all" "$work/dump" || fail "a token is in the trail"; done
echo "$(find "$work/messages" -name '*.xml' | wc -l) messages, all valid, of nobody's images"
