#!/bin/bash
# Who may what over HTTP: tokens and their roles, browsers' sessions, guessing, TLS and clients' certificates, refusing to be open to all. Nothing is segmented.
. "$(dirname "$0")/lib.sh"

tokens=$work/tokens.json
token() { "$B/segan" token "$@" --tokens-file "$tokens" 2>> "$work/token.log"; }
# ask ROLE METHOD PATH [curl options]: the status; the answer is in $work/answer, its head in $work/head. ROLE - : no token.
ask() {
	local role=$1 method=$2 path=$3; shift 3
	local with=(); [ "$method" != HEAD ] || with=(-I)
	[ "$role" = - ] || with+=(-H "Authorization: Bearer $(cat "$work/$role.token")")
	curl -sS -o "$work/answer" -D "$work/head" -w '%{http_code}' -X "$method" "${with[@]}" "$@" "${scheme:-http}://$http$path"
}
head_of() { tr -d '\r' < "$work/head" | grep -i "^$1:" || true; }
refused() { # CONFIG PATTERN: segand does not start, exit status 2
	local status=0
	"$B/segand" --config "$1" > "$work/refused" 2>&1 || status=$?
	same "exit status for $1" "$status" 2
	holds "refusal of $1" "$(cat "$work/refused")" "$2"
}

# ---- without tokens: loopback only
write_config "$work/open.json" '.http.bind = "127.0.0.1" | .http.port = 0'
sed 's,"127.0.0.1","0.0.0.0",' "$work/open.json" > "$work/beyond.json"
refused "$work/beyond.json" 'line [0-9]+: http.bind .0.0.0.0. is beyond loopback.*segan token add NAME --role admin'
write_config "$work/beyond.json" '.http.bind = "0.0.0.0" | .http.tokens_file = $tokens' --arg tokens "$tokens" 2> /dev/null
refused "$work/beyond.json" 'there is no file .*tokens.json yet: make the first token'
echo '{"tokens": []}' > "$tokens"
refused "$work/beyond.json" 'http.bind 0.0.0.0 is beyond loopback, and there are no tokens'
rm "$tokens"
start_node "$work/open.json"
same "reading without tokens" "$(ask - GET /api/v1/jobs)" 200
same "a session without tokens" "$(ask - POST /api/v1/session)" 409
same "a page of another site" "$(ask - POST /api/v1/jobs/1/retry -H 'Origin: http://evil.example')" 403
for site in cross-site same-site Cross-Site; do
	same "a page of another site, with no Origin ($site)" "$(ask - POST /api/v1/jobs/1/retry -H "Sec-Fetch-Site: $site")" 403
done
for site in same-origin none; do same "our own page, with no Origin ($site)" "$(ask - POST /api/v1/jobs/1/retry -H "Sec-Fetch-Site: $site")" 404; done
same "by another name" "$(ask - GET /api/v1/jobs -H 'Host: evil.example')" 403
stop_node

# ---- tokens: shown once, kept as a digest, 0600
for role in viewer operator admin; do token add "the-$role" --role "$role" > "$work/$role.token" || fail "token add"; done
holds "a token" "$(cat "$work/viewer.token")" '^[0-9a-f]{64}$'
same "mode of the tokens" "$(stat -c %a "$tokens")" 600
! grep -q -f "$work/viewer.token" "$tokens" || fail "the file holds a token"
holds "its digest" "$(cat "$tokens")" "$(tr -d '\n' < "$work/viewer.token" | sha256sum | cut -d ' ' -f 1)"
status=0; token add the-viewer --role admin > "$work/again" || status=$?
same "the same name twice" "$status" 1
status=0; token add 'b/ad' --role admin > /dev/null || status=$?
same "a bad name" "$status" 1
status=0; token add x --role king > /dev/null || status=$?
same "a bad role" "$status" 2
same "token list" "$(token list | awk 'NR > 1 {print $1, $2}' | paste -sd ,)" "the-viewer viewer,the-operator operator,the-admin admin"
same "token list --json" "$(token list --json | jq -r '.tokens[1] | .name + " " + .role')" "the-operator operator"

# ---- roles, on an address beyond loopback
start_node "$work/beyond.json"
http=127.0.0.1:${http##*:}
{ printf -- '--segan-demo\r\nContent-Type: application/dicom\r\n\r\nnot DICOM\r\n--segan-demo--\r\n'; } > "$work/body"
stow_ask() { ask "$1" POST /dicom-web/studies -H 'Content-Type: multipart/related; type="application/dicom"; boundary=segan-demo' --data-binary "@$work/body"; }
while read -r who method path status; do
	got=$(ask "$who" "$method" "$path")
	same "$method $path by $who" "$got" "$status"
	[ "$got" -lt 400 ] || holds "the answer to it" "$(cat "$work/head")" 'application/problem\+json'
done <<'T'
- GET /health 200
- GET /ready 200
- GET /metrics 401
- GET /api/v1/jobs 401
- POST /api/v1/jobs/1/retry 401
- GET /nothing 404
viewer GET /metrics 200
viewer GET /api/v1/jobs 200
viewer HEAD /api/v1/models 200
viewer GET /api/v1/session 200
viewer POST /api/v1/jobs/1/retry 403
viewer POST /api/v1/jobs/1/cancel 403
operator POST /api/v1/jobs/1/retry 404
operator POST /api/v1/jobs/1/cancel 404
admin POST /api/v1/jobs/1/retry 404
admin GET /api/v1/jobs 200
T
same "STOW by nobody" "$(stow_ask -)" 401
holds "how to ask" "$(head_of WWW-Authenticate)" 'Bearer realm="segand"'
same "STOW by the viewer" "$(stow_ask viewer)" 403
holds "what is missing" "$(head_of WWW-Authenticate) $(cat "$work/answer")" 'insufficient_scope.*role operator'
holds "STOW by the operator is understood" "$(stow_ask operator)" '^(400|409)$'
same "with a token another Host is fine" "$(ask viewer GET /api/v1/jobs -H 'Host: node.example')" 200

# ---- commands of the client
jobs() { "$B/segan" jobs list --url "${scheme:-http}://$http" "$@" > "$work/jobs" 2>&1; }
jobs --token-file "$work/viewer.token" || fail "segan jobs with a token: $(cat "$work/jobs")"
SEGAN_TOKEN_FILE=$work/viewer.token jobs || fail "segan jobs with SEGAN_TOKEN_FILE"
! jobs || fail "segan jobs without a token"
holds "its words" "$(cat "$work/jobs")" 'a token is needed'
! jobs --token-file "$work/none" || fail "segan jobs with a token that is not there"

# ---- a change needs no restart
token add late --role viewer > "$work/late.token"
same "a new token" "$(ask late GET /api/v1/jobs)" 200
token revoke late
same "a revoked token" "$(ask late GET /api/v1/jobs)" 401
status=0; token revoke late || status=$?
same "revoking it twice" "$status" 1
cp "$tokens" "$work/kept"; echo '{"tokens": [{"nam' > "$tokens"
same "tokens that cannot be read" "$(ask admin GET /api/v1/jobs)" 503
cp "$work/kept" "$work/whole"; chmod 646 "$work/whole"; mv "$work/whole" "$tokens"
same "tokens that everybody may write" "$(ask admin GET /api/v1/jobs)" 503
holds "the line about it" "$(grep tokens_unread "$node_log" | tail -1)" 'everybody on this machine may write .*chmod o-w'
cp "$work/kept" "$work/whole"; chmod 600 "$work/whole"; mv "$work/whole" "$tokens"
same "and when they can again" "$(ask admin GET /api/v1/jobs)" 200

# ---- a browser's session
token add nurse --role operator > "$work/nurse.token"
same "a session" "$(ask nurse POST /api/v1/session)" 200
holds "its cookie" "$(head_of Set-Cookie)" '^Set-Cookie: segand_session=[0-9a-f]{64}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$'
cookie=$(head_of Set-Cookie | sed 's/^[^:]*: \([^;]*\);.*/\1/')
! grep -q -f "$work/nurse.token" "$work/answer" "$work/head" || fail "a token is repeated"
same "who am I" "$(ask - GET /api/v1/session -H "Cookie: a=b; $cookie"; jq -r '" " + .name + " " + .role' "$work/answer")" "200 nurse operator"
same "reading by session" "$(ask - GET /api/v1/jobs -b "$cookie")" 200
same "changing by session, our page" "$(ask - POST /api/v1/jobs/1/retry -b "$cookie" -H "Origin: http://$http")" 404
same "changing by session, another's page" "$(ask - POST /api/v1/jobs/1/retry -b "$cookie" -H 'Origin: http://evil.example')" 403
same "a session from another's page" "$(ask - POST /api/v1/session -H 'Origin: http://evil.example' --data "{\"token\": \"$(cat "$work/nurse.token")\"}")" 403
same "a session by JSON" "$(ask - POST /api/v1/session -H 'Content-Type: application/json' --data "{\"token\": \"$(cat "$work/nurse.token")\"}")" 200
second=$(head_of Set-Cookie | sed 's/^[^:]*: \([^;]*\);.*/\1/')
same "good-bye" "$(ask - DELETE /api/v1/session -b "$cookie" -H "Origin: http://$http")" 204
holds "the browser forgets" "$(head_of Set-Cookie)" 'segand_session=; .*Max-Age=0'
same "after it" "$(ask - GET /api/v1/jobs -b "$cookie")" 401
holds "and it forgets again" "$(head_of Set-Cookie)" 'segand_session=; .*Max-Age=0'
same "the other session" "$(ask - GET /api/v1/jobs -b "$second")" 200
token revoke nurse
same "a session of a revoked token" "$(ask - GET /api/v1/jobs -b "$second")" 401

# ---- guesses: 401, then 429; who was right here before is let in
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
for _ in $(seq 13); do # as tokens and as sessions: one count
	ask - GET /api/v1/jobs -b "segand_session=$(random)"; echo
	ask - GET /api/v1/jobs -H "Authorization: Bearer $(random)"; echo
done > "$work/guesses"
holds "the first guesses" "$(head -1 "$work/guesses")" 401
same "the last guess" "$(tail -1 "$work/guesses")" 429
holds "when to come back" "$(head_of Retry-After)" '[0-9]'
same "the viewer all the same" "$(ask viewer GET /api/v1/jobs)" 200
stop_node
for who in viewer operator admin nurse; do ! grep -q -f "$work/$who.token" "$node_log" || fail "a token is in the log"; done
holds "guesses are logged" "$(cat "$node_log")" 'http_token_refused client=127.0.0.1'
[ "$(grep -c http_token_refused "$node_log")" -le 25 ] || fail "every guess is logged"

# ---- who may nothing keeps nobody out, however slowly he says it
write_config "$work/slow.json" '.http.tokens_file = $tokens | .http.max_connections = 64 | .http.max_connections_per_client = 1000' --arg tokens "$tokens"
start_node "$work/slow.json"
slow=()
for _ in $(seq 150); do
	exec {fd}<> "/dev/tcp/127.0.0.1/${http##*:}"
	slow+=("$fd")
	printf 'POST /api/v1/session HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{' "$http" >&"$fd"
done
same "the viewer beside 150 slow strangers" "$(ask viewer GET /api/v1/jobs -m 15 || true)" 200
for fd in "${slow[@]}"; do exec {fd}>&-; done
stop_node

# ---- TLS
make_ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.pem" -subj "/CN=$1" -days 2 -addext basicConstraints=critical,CA:TRUE 2> /dev/null; }
make_signed() { # NAME CA EXTENSIONS [KEY]
	openssl req -newkey ${4:-ec -pkeyopt ec_paramgen_curve:P-256} -nodes -keyout "$work/$1.key" -out "$work/$1.csr" -subj "/CN=$1" 2> /dev/null
	openssl x509 -req -in "$work/$1.csr" -days 2 -out "$work/$1.pem" -CA "$work/$2.pem" -CAkey "$work/$2.key" -CAcreateserial -extfile <(printf '%b' "$3") 2> /dev/null
}
make_ca ca; make_ca stranger
make_signed node ca 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'
make_signed scanner ca 'extendedKeyUsage=clientAuth\n'
make_signed short ca 'extendedKeyUsage=clientAuth\n' rsa:1024
make_signed intruder stranger 'extendedKeyUsage=clientAuth\n'
tls_config() { write_config "$work/tls.json" '.http.tokens_file = $tokens | .http.tls_certificate = $w + "/node.pem" | .http.tls_key = $w + "/node.key" | .log_level = "debug"'"$1" --arg tokens "$tokens" --arg w "$work"; }
tls_config ' | .http.tls_key = $w + "/none.key"';       refused "$work/tls.json" 'http.tls_key: .*none.key'
tls_config ' | .http.tls_key = $w + "/ca.key"';         refused "$work/tls.json" 'http.tls_key .*ca.key is not the key of the first certificate in http.tls_certificate .*node.pem'
tls_config ' | .http.tls_certificate = $w + "/node.key"'; refused "$work/tls.json" 'http.tls_certificate .*node.key: there is no PEM certificate in it'
tls_config ' | .http.tls_client_ca = $w + "/body"';     refused "$work/tls.json" 'http.tls_client_ca .*body: there is no PEM certificate in it'
openssl ec -aes256 -passout pass:x -in "$work/node.key" -out "$work/locked.key" 2> /dev/null
tls_config ' | .http.tls_key = $w + "/locked.key"';     refused "$work/tls.json" 'http.tls_key .*locked.key: it is encrypted'
tls_config ' | .http.header_timeout = 10'
scheme=https
start_node "$work/tls.json"
holds "the ready line" "$(grep '^ready' "$node_log" | tail -1)" '^ready https=127.0.0.1:[0-9]+ dicom=[0-9]+$'
(exec 3<> "/dev/tcp/${http/://}"; timeout 60 cat <&3 > /dev/null) & silent=$! # says nothing, not even its part of the handshake
same "over TLS" "$(ask viewer GET /api/v1/jobs --cacert "$work/ca.pem")" 200
same "a session over TLS" "$(ask viewer POST /api/v1/session --cacert "$work/ca.pem")" 200
holds "its cookie" "$(head_of Set-Cookie)" 'SameSite=Strict; Secure$'
cookie=$(head_of Set-Cookie | sed 's/^[^:]*: \([^;]*\);.*/\1/')
same "good-bye from a page in the clear" "$(ask - DELETE /api/v1/session --cacert "$work/ca.pem" -b "$cookie" -H "Origin: http://$http")" 403
same "good-bye" "$(ask - DELETE /api/v1/session --cacert "$work/ca.pem" -b "$cookie" -H "Origin: https://$http")" 204
! curl -sS -o /dev/null "http://$http/health" 2> /dev/null || fail "plain HTTP on the TLS port"
for version in tls1 tls1_1; do ! openssl s_client -connect "$http" "-$version" -cipher 'ALL:@SECLEVEL=0' < /dev/null > /dev/null 2>&1 || fail "$version is spoken"; done
for version in tls1_2 tls1_3; do openssl s_client -connect "$http" "-$version" -CAfile "$work/ca.pem" -verify_return_error < /dev/null > "$work/s_client" 2>&1 || fail "$version is not spoken"; done
! openssl s_client -connect "$http" -tls1_2 -cipher 'AES128-SHA:AES256-SHA:AES128-GCM-SHA256' < /dev/null > /dev/null 2>&1 || fail "a cipher without forward secrecy"
jobs --token-file "$work/viewer.token" --ca-file "$work/ca.pem" || fail "segan jobs over TLS: $(cat "$work/jobs")"
! jobs --token-file "$work/viewer.token" || fail "segan jobs trusts an unknown authority"
holds "its words" "$(cat "$work/jobs")" 'certificate.*--ca-file'
jq --arg port "${http##*:}" '.http.port = ($port | tonumber)' "$work/tls.json" > "$work/client.json"
"$B/segan" jobs list --config "$work/client.json" --token-file "$work/viewer.token" > "$work/jobs" 2>&1 || fail "segan jobs by the configuration alone: $(cat "$work/jobs")"

# ---- what goes out verifies too: STOW-RS to this very node
jq --arg w "$work" --arg url "https://$http/dicom-web" '.destinations = {right: {type: "stow", url: $url, token_file: ($w + "/operator.token"), ca_file: ($w + "/ca.pem")},
	wrong: {type: "stow", url: $url, token_file: ($w + "/operator.token"), ca_file: ($w + "/stranger.pem")}, viewer: {type: "stow", url: $url, token_file: ($w + "/viewer.token"), ca_file: ($w + "/ca.pem")}}
	| .destinations.other = .destinations.right + {url: ("https://other.localhost:" + ($url | capture(":(?<port>[0-9]+)/").port) + "/dicom-web")}' \
	"$work/client.json" > "$work/send.json"
demo_study "$work/study"
send() { "$B/segan" send "$1" "$work/study/0001.dcm" --config "$work/send.json" > "$work/send" 2>&1; }
send right || fail "segan send over TLS: $(cat "$work/send")"
! send wrong || fail "segan send trusts another authority"
! send other || fail "segan send trusts the certificate of another host"
holds "its words" "$(cat "$work/send")" "host.*other.localhost|other.localhost.*host"
! send viewer || fail "a viewer's token sends"
# ---- renewed under way: from the next connection on; half of a pair, and what is none, changes nothing
make_signed renewed ca 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'
shown() { openssl s_client -connect "$http" < /dev/null 2> /dev/null | openssl x509 -noout -subject | tr -d ' '; }
same "the certificate" "$(shown)" "subject=CN=node"
cp "$work/renewed.pem" "$work/node.pem"
same "with another's key" "$(shown)" "subject=CN=node"
holds "what is said of it" "$(grep tls_not_renewed "$node_log")" 'error tls_not_renewed text="the certificate from before stays in use: http.tls_key .*node.key is not the key'
cp "$work/renewed.key" "$work/node.key.new"; mv "$work/node.key.new" "$work/node.key"
same "renewed" "$(shown)" "subject=CN=renewed"
echo none > "$work/node.pem"
same "when it is broken again" "$(shown)" "subject=CN=renewed"
rm "$work/node.pem"
same "when it is gone" "$(ask viewer GET /api/v1/jobs --cacert "$work/ca.pem")" 200
cp "$work/renewed.pem" "$work/node.pem"
same "lines about it" "$(grep -c tls_not_renewed "$node_log") $(grep -c 'info tls_renewed' "$node_log")" "3 1"
wait "$silent" || fail "a client that says nothing is not hung up on"
stop_node
no_identity "$node_log"

# ---- clients' certificates
tls_config ' | .http.tls_client_ca = $w + "/ca.pem"'
start_node "$work/tls.json"
with() { ask viewer GET /api/v1/jobs --cacert "$work/ca.pem" "$@" 2> /dev/null || true; }
same "without a certificate" "$(with)" 000
same "with a stranger's certificate" "$(with --cert "$work/intruder.pem" --key "$work/intruder.key")" 000
same "with a server's certificate" "$(with --cert "$work/node.pem" --key "$work/node.key")" 000
for version in 1.2 1.3; do same "without a certificate, TLS $version" "$(with --tlsv"$version" --tls-max "$version")" 000; done
same "refused clients in the audit trail" "$(sqlite3 "$work/data/segand.db" "select text like 'it showed no%', count(*), min(address) from audit where event = 110113 and type = 110126 and outcome = 4 and text like '%http.tls_client_ca%' group by 1" | paste -sd ' ')" '0|2|127.0.0.1 1|3|127.0.0.1'
with_rsa() { # NAME: what curl does not load, s_client does
	printf 'GET /health HTTP/1.0\r\n\r\n' | timeout 60 openssl s_client -quiet -connect "$http" -tls1_2 -cipher 'DEFAULT:@SECLEVEL=0' -cert "$work/$1.pem" -key "$work/$1.key" 2> /dev/null | head -n 1 | tr -d '\r'
}
same "with a certificate that is too weak" "$(with_rsa short)" ""
same "with ours" "$(with_rsa scanner)" "HTTP/1.1 200 OK"
same "with ours" "$(with --cert "$work/scanner.pem" --key "$work/scanner.key")" 200
same "with ours but no token" "$(ask - GET /api/v1/jobs --cacert "$work/ca.pem" --cert "$work/scanner.pem" --key "$work/scanner.key")" 401
jobs --token-file "$work/viewer.token" --ca-file "$work/ca.pem" --certificate "$work/scanner.pem" --key "$work/scanner.key" || fail "segan jobs with a certificate: $(cat "$work/jobs")"
stop_node
echo "who may what: as it says"
