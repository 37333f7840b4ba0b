#!/bin/bash
# Who may send, by the shipped defaults: nobody who is not in dicom.peers; a clear rejection to the sender, a clear line in the log, and nothing stored.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
same "the shipped default" "$("$B/segand" --check --config config/segand.json 2> /dev/null | jq .dicom.accept_unknown_peers)" false
write_config "$work/segand.json" '.dicom.accept_unknown_peers = false | .dicom.peers = {"MR1": {"aet": "MR1"}, "MR2": {"aet": "MR2", "host": "192.0.2.7"}} | .series_complete_trigger = 1 '"$(limits)"
start_node "$work/segand.json"
send() { dcmsend -v -aet "$1" -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/study" > "$work/dcmsend.log" 2>&1; }

send STRANGER && fail "an unknown AE title may send"
echoscu -v -aet STRANGER -aec SEGAN 127.0.0.1 "$dicom_port" > "$work/dcmsend.log" 2>&1 && fail "C-ECHO of a stranger"
holds "what the stranger is told" "$(cat "$work/dcmsend.log")" 'Calling AE Title Not Recognized'
line=$(wait_line "$node_log" 'STRANGER' 60 "$node_pid")
holds "the line for a stranger" "$line" ' warn .*STRANGER.*dicom\.peers'
send MR2 && fail "a known AE title from another address may send"
line=$(wait_line "$node_log" 'MR2' 60 "$node_pid")
holds "the line for the wrong address" "$line" ' warn .*MR2.*(127\.0\.0\.1|address|host)'
same "instances of strangers" "$(sqlite3 -readonly "$work/data/segand.db" 'select count(*) from instances')" 0
send MR1 || { cat "$work/dcmsend.log"; fail "a configured AE title may not send"; }
same "instances of the configured peer" "$(sqlite3 -readonly "$work/data/segand.db" 'select count(*) from instances')" 26
echoscu -aet MR1 -aec SEGAN 127.0.0.1 "$dicom_port" || fail "C-ECHO of a configured peer"
stop_node

# ---- one socket for IPv4 and IPv6: an IPv4 address is written as everywhere else, in the settings also as an IPv6 one
jq '.dicom.bind = "::" | .dicom.peers = {"MR1": {"aet": "MR1", "host": "127.0.0.1"}, "MR3": {"aet": "MR3", "host": "::ffff:127.0.0.1"}, "MR4": {"aet": "MR4", "host": "::ffff:127.0.0.4"}, "MR6": {"aet": "MR6", "host": "0::1"}}' \
	"$work/segand.json" > "$work/both.json"
start_node "$work/both.json"
for aet in MR1 MR3; do echoscu -aet $aet -aec SEGAN 127.0.0.1 "$dicom_port" || fail "C-ECHO of $aet over IPv4"; done
! echoscu -aet MR4 -aec SEGAN 127.0.0.1 "$dicom_port" 2> "$work/echoscu.log" || fail "a known AE title from another address may send"
! echoscu -aet MR6 -aec SEGAN 127.0.0.1 "$dicom_port" 2> "$work/echoscu.log" || fail "a peer of IPv6 over IPv4"
holds "the line for the wrong address" "$(grep MR4 "$node_log")" 'address=127[.]0[.]0[.]1 '
stop_node
no_identity "$node_log" "$work/data/segand.db"
echo "strangers are told so"
