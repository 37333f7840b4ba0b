#!/bin/sh
# certificates.sh DIR: an authority (ca.pem), another one (other-ca.pem), and certificates with keys of the first: node.pem for 127.0.0.1, named.pem for
# archive.example, client.pem, short.pem (RSA of 1024 bits) and sha1.pem (signed with SHA-1) for 127.0.0.1; stranger.pem of the other. RSA: the TLS 1.2 suites of the profile are for nothing else.
set -eu
cd "$1"
key() { openssl genrsa -out "$1" "${bits:-2048}" 2> /dev/null; }
authority() {
	key "$1-key.pem"
	openssl req -x509 -new -key "$1-key.pem" -sha256 -days 1 -subj "/CN=$1" -out "$1.pem" 2> /dev/null
}
# signed NAME AUTHORITY SUBJECT-ALTERNATIVE-NAME
signed() {
	key "$1-key.pem"
	printf 'subjectAltName=%s\n' "$3" > "$1.ext"
	openssl req -new -key "$1-key.pem" -subj "/CN=$1" -out "$1.csr" 2> /dev/null
	openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -CAcreateserial "-${digest:-sha256}" -days 1 -extfile "$1.ext" -out "$1.pem" 2> /dev/null
	rm "$1.csr" "$1.ext"
}
authority ca
authority other-ca
signed node ca IP:127.0.0.1
signed named ca DNS:archive.example
signed client ca DNS:client.example
bits=1024 signed short ca IP:127.0.0.1
digest=sha1 signed sha1 ca IP:127.0.0.1
signed stranger other-ca IP:127.0.0.1
