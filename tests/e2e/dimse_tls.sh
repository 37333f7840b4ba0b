#!/bin/bash
# TLS for DIMSE, both ways, against DCMTK's own tools: storescu and echoscu to the node, segan echo and send to storescp. Who is not trusted is told so, on both
# sides; who speaks plain to a TLS port, or TLS to a plain one, costs nothing. Nothing is segmented.
. "$(dirname "$0")/lib.sh"

demo_study "$work/study"
mkdir "$work/tls"
tests/tools/certificates.sh "$work/tls"
t=$work/tls
file=$(find "$work/study" -type f | sort | head -n 1)
tls='.dicom.tls_certificate = $t + "/node.pem" | .dicom.tls_key = $t + "/node-key.pem" | .dicom.tls_ca = $t + "/ca.pem" | .dicom.tls_require_client = true | .models = []
	| .dicom.accept_unknown_peers = false | .dicom.peers = {"MR1": {"aet": "MR1", "host": "127.0.0.1"}}'
stored() { sqlite3 -readonly "$work/data/segand.db" 'select count(*) from instances'; }
lines() { grep -c -- "$1" "$node_log" || true; }
# line_after N PATTERN: waits for more than N lines of the pattern
line_after() { while [ "$(lines "$2")" -le "$1" ]; do kill -0 "$node_pid" || fail "the node is gone"; done; }

# ---- the node listens
write_config "$work/bad.json" "$tls"' | .dicom.tls_key = $t + "/client-key.pem"' --arg t "$t"
status=0; "$B/segand" --config "$work/bad.json" > "$work/bad.log" 2>&1 || status=$?
same "status with a key that does not fit" "$status" 1
holds "what is said of it" "$(cat "$work/bad.log")" 'start_failed .*client-key\.pem'
write_config "$work/segand.json" "$tls" --arg t "$t"
start_node "$work/segand.json"
to_node() { local tool=$1; shift; "$tool" -aet MR1 -aec SEGAN "$@" > "$work/peer.log" 2>&1; }

to_node echoscu +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" || { cat "$work/peer.log"; fail "echoscu +tls"; }
to_node storescu +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" "$file" || { cat "$work/peer.log"; fail "storescu +tls"; }
same "instances over TLS" "$(stored)" 1
timeout 60 openssl s_client -connect "127.0.0.1:$dicom_port" -cert "$t/client.pem" -key "$t/client-key.pem" -CAfile "$t/ca.pem" -verify_return_error -tls1_2 < /dev/null > "$work/ssl.log" 2>&1 || { cat "$work/ssl.log"; fail "TLS 1.2"; }
! timeout 60 openssl s_client -connect "127.0.0.1:$dicom_port" -cert "$t/client.pem" -key "$t/client-key.pem" -tls1_1 -cipher DEFAULT@SECLEVEL=0 < /dev/null > "$work/ssl.log" 2>&1 || fail "TLS 1.1 is taken"

n=$(lines association_none)
to_node echoscu +tla +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" && fail "echoscu without a certificate"
line_after "$n" association_none
holds "the line for who shows none" "$(grep association_none "$node_log")" 'showed no certificate'
to_node echoscu +tls "$t/stranger-key.pem" "$t/stranger.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" && fail "echoscu with a stranger's certificate"
to_node echoscu +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/other-ca.pem" 127.0.0.1 "$dicom_port" && fail "echoscu trusts us by the wrong authority"
for weak in short sha1; do
	to_node echoscu +tls "$t/$weak-key.pem" "$t/$weak.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" && fail "a certificate that is too weak ($weak) is trusted"
done
line_after $((n + 4)) association_none
holds "the lines for the weak" "$(grep association_none "$node_log" | tail -n 2 | paste -sd ' ')" 'key too weak.*RSA.*2048.*digest algorithm too weak.*SHA-256'
to_node echoscu 127.0.0.1 "$dicom_port" && fail "a plain echoscu at a TLS port"
line_after $((n + 5)) association_none
holds "the line for the stranger" "$(grep association_none "$node_log")" 'dicom\.tls_ca must hold the authority'
holds "the line for the plain one" "$(grep association_none "$node_log")" 'speaks no TLS'
echoscu -aet MR2 -aec SEGAN +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" > "$work/peer.log" 2>&1 && fail "TLS makes a peer of a stranger"
holds "what the stranger is told" "$(cat "$work/peer.log")" 'Calling AE Title Not Recognized'
to_node echoscu +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" || fail "echoscu +tls after the strangers"

# ---- renewed under way: from the next connection on; half of a pair changes nothing
shown() { timeout 60 openssl s_client -connect "127.0.0.1:$dicom_port" -cert "$t/client.pem" -key "$t/client-key.pem" < /dev/null 2> /dev/null | openssl x509 -noout -subject | tr -d ' '; }
for pem in node.pem node-key.pem; do cp "$t/$pem" "$t/$pem.kept"; done
same "the certificate" "$(shown)" "subject=CN=node"
cp "$t/named.pem" "$t/node.pem"
same "with another's key" "$(shown)" "subject=CN=node"
holds "what is said of it" "$(grep dicom_tls_not_renewed "$node_log")" 'error dicom_tls_not_renewed text="the certificate from before stays in use: .*node-key\.pem'
cp "$t/named-key.pem" "$t/node-key.pem"
same "renewed" "$(shown)" "subject=CN=named"
rm "$t/node.pem"
to_node echoscu +tls "$t/client-key.pem" "$t/client.pem" +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" || fail "echoscu when the file is gone"
for pem in node.pem node-key.pem; do mv "$t/$pem.kept" "$t/$pem"; done
same "as it was" "$(shown)" "subject=CN=node"
stop_node
same "refused handshakes in the audit trail" "$(sqlite3 "$work/data/segand.db" "select count(*) >= 4, min(aet is null), max(address) from audit where event = 110113 and type = 110126 and (text like '%certificate%' or text like '%TLS%' or text like '%authority%')")" '1|1|127.0.0.1'

# ---- plain again: TLS to a plain port
write_config "$work/plain.json" '.models = []'
start_node "$work/plain.json"
n=$(lines 'speaks TLS')
to_node echoscu +tla +cf "$t/ca.pem" 127.0.0.1 "$dicom_port" && fail "TLS at a plain port"
line_after "$n" 'speaks TLS'
to_node echoscu 127.0.0.1 "$dicom_port" || fail "echoscu after it"

# ---- the node as requestor: storescp with TLS
port=$(free_port); mkdir "$work/archive"
storescp --bit-preserving -od "$work/archive" -aet ARCHIVE +tls "$t/node-key.pem" "$t/node.pem" +cf "$t/ca.pem" "$port" > "$work/archive.log" 2>&1 & started+=($!)
archive='{"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port, "timeout": 20}'
write_config "$work/out.json" '.models = [] | '"$archive"' as $a | .destinations = {"plain": $a, "good": ($a + {"tls": true, "tls_ca": ($t + "/ca.pem"), "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem"), "tls_name": "127.0.0.1"}),
	"wrong": ($a + {"tls": true, "tls_ca": ($t + "/other-ca.pem"), "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem")}),
	"system": ($a + {"tls": true, "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem")}),
	"elsewhere": ($a + {"host": "localhost", "tls": true, "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem")}),
	"named": ($a + {"tls": true, "tls_ca": ($t + "/ca.pem"), "tls_name": "archive.example", "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem")}),
	"unnamed": ($a + {"host": "localhost", "tls": true, "tls_ca": ($t + "/ca.pem"), "tls_certificate": ($t + "/client.pem"), "tls_key": ($t + "/client-key.pem")}),
	"bare": ($a + {"tls": true, "tls_ca": ($t + "/ca.pem")})}' --argjson port "$port" --arg t "$t"
while ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2> /dev/null; do kill -0 "${started[-1]}" || fail "storescp is gone"; done
segan_echo() { "$B/segan" echo "$1" --config "$work/out.json" 2>&1; }
holds "echo over TLS" "$(segan_echo good)" 'answers'
"$B/segan" send good "$file" --config "$work/out.json" || fail "segan send over TLS"
same "files at the archive" "$(find "$work/archive" -type f | wc -l)" 1
for who in wrong system named unnamed bare plain; do segan_echo "$who" > "$work/$who.txt" && fail "echo to $who"; done
holds "wrong authority" "$(cat "$work/wrong.txt")" 'tls_ca must hold the authority that signed it'
holds "system's authorities" "$(cat "$work/system.txt")" 'tls_ca must hold the authority'
holds "wrong name" "$(cat "$work/named.txt")" 'tls_name'
holds "the host has another name" "$(cat "$work/unnamed.txt")" 'tls_name'
holds "no certificate" "$(cat "$work/bare.txt")" 'certificate'
holds "the system's authorities trust it, under the host's name" "$(SSL_CERT_FILE=$t/ca.pem segan_echo system)" 'answers'
holds "and under no other" "$(SSL_CERT_FILE=$t/ca.pem segan_echo elsewhere || true)" 'not to be trusted.*mismatch.*or else the host'
holds "plain at a TLS port" "$(cat "$work/plain.txt")" '"tls": true'
same "files at the archive" "$(find "$work/archive" -type f | wc -l)" 1
for weak in short sha1; do
	port=$(free_port)
	storescp -od "$work/archive" -aet ARCHIVE +tls "$t/$weak-key.pem" "$t/$weak.pem" +cf "$t/ca.pem" "$port" > "$work/$weak.log" 2>&1 & started+=($!)
	while ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2> /dev/null; do kill -0 "${started[-1]}" || fail "storescp is gone"; done
	jq --argjson port "$port" '.destinations.good.port = $port' "$work/out.json" > "$work/$weak.json"
	"$B/segan" echo good --config "$work/$weak.json" > "$work/$weak.txt" 2>&1 && fail "an archive's certificate that is too weak ($weak) is trusted"
	holds "why" "$(cat "$work/$weak.txt")" 'too weak.*RSA of 2048 bits.*SHA-256'
done
stop_node
no_identity "$node_log" "$work/data/segand.db"
echo "TLS: proven both ways, plain and strangers told so"
