#!/bin/bash
# What a sender has, it may send as it is: every transfer syntax that is read is negotiated, arrives and is kept as it came; in one context with a choice
# nothing is lost by our wish; what is not read is refused at the negotiation, and by STOW with the reason.
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 tests/tools/mksyntaxes.py "$work/made" twelve eight 2> /dev/null
write_config "$work/segand.json" '.series_complete_trigger = 600'
start_node "$work/segand.json"

# ---- each syntax, each instance its own; dcmsend and storescu offer the choice that is named behind
n=0
while read -r syntax sets options; do
	for dir in "$work"/made/*/"$syntax"; do
		n=$((n + 1))
		rm "$dir"/[12].dcm
		dcmodify -q -nb -m "SeriesInstanceUID=2.25.8$n" -m "SOPInstanceUID=2.25.9$n" "$dir/0.dcm"
		# shellcheck disable=SC2086
		$options -aec SEGAN 127.0.0.1 "$dicom_port" "$dir/0.dcm" > "$work/sender.log" 2>&1 || { cat "$work/sender.log"; fail "sending $dir"; }
	done
	uid=$(dcmdump -q +P TransferSyntaxUID -Un "$dir/0.dcm" | sed 's/.*\[\(.*\)\].*/\1/')
	same "instances in $syntax ($uid)" "$(sqlite3 -readonly "$work/data/segand.db" "SELECT count(*) FROM instances WHERE transfer_syntax = '$uid'")" "$sets"
done <<'T'
native 2 dcmsend -q
implicit 2 storescu -xi
deflated 2 storescu -xd
rle 2 dcmsend -q -dn
baseline 1 dcmsend -q -dn
extended 1 dcmsend -q -dn
lossless14 2 dcmsend -q -dn
sv1 2 dcmsend -q -dn
ls 2 dcmsend -q -dn
near 2 dcmsend -q -dn
j2k 2 dcmsend -q -dn
j2klossy 2 dcmsend -q -dn
T

# ---- what is chosen of several in one context (an A-ASSOCIATE-RQ by hand, PS3.8 9.3.2)
/usr/bin/python3 - "$dicom_port" <<'T'
import socket, struct, sys
J, S = '1.2.840.10008.1.2.4.', '1.2.840.10008.1.2'
cases = [([S, S + '.1'], S + '.1'), ([S + '.2', S], S), ([J + '70', S + '.1'], J + '70'), ([S + '.1', J + '70'], S + '.1'), ([J + '50', S], S), ([J + '50'], J + '50'),
         ([J + '91', J + '90'], J + '90'), ([J + '100', S + '.5'], S + '.5'), ([J + '100'], None), ([S + '.2'], S + '.2'), ([S, J + '80', S + '.1'], S + '.1')]
item = lambda kind, body: struct.pack('>BBH', kind, 0, len(body)) + body
contexts = b''.join(item(0x20, bytes((2 * i + 1, 0, 0, 0)) + item(0x30, b'1.2.840.10008.5.1.4.1.1.4') + b''.join(item(0x40, t.encode()) for t in offered)) for i, (offered, _) in enumerate(cases))
body = struct.pack('>HH', 1, 0) + b'SEGAN'.ljust(16) + b'TEST'.ljust(16) + bytes(32) + item(0x10, b'1.2.840.10008.3.1.1.1') + contexts + item(0x50, item(0x51, struct.pack('>I', 16384)) + item(0x52, b'1.2.3'))
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(struct.pack('>BBI', 1, 0, len(body)) + body)
f = s.makefile('rb')
kind, _, n = struct.unpack('>BBI', f.read(6))
assert kind == 2, kind
answer, at, got = f.read(n), 68, {}
while at < n:
    kind, _, size = struct.unpack('>BBH', answer[at:at + 4])
    if kind == 0x21:
        got[answer[at + 4]] = answer[at + 12:at + 4 + size].decode() if answer[at + 6] == 0 else None
    at += 4 + size
s.sendall(struct.pack('>BBII', 5, 0, 4, 0))
f.read(10)
for i, (offered, wanted) in enumerate(cases):
    assert got[2 * i + 1] == wanted, (offered, got[2 * i + 1], wanted)
T

# ---- STOW of a syntax that is not read: FailureReason C122
sed 's/1\.2\.840\.10008\.1\.2\.4\.50/1.2.840.10008.1.2.4.53/' "$(find "$work/made" -path '*baseline/0.dcm')" > "$work/unread.dcm"
{ printf -- '--B\r\nContent-Type: application/dicom\r\n\r\n'; cat "$work/unread.dcm"; printf -- '\r\n--B--\r\n'; } > "$work/body"
curl -sS -H 'Content-Type: multipart/related; type="application/dicom"; boundary=B' --data-binary "@$work/body" -o "$work/answer" -w '%{http_code}' "http://$http/dicom-web/studies" > "$work/code"
holds "status of STOW" "$(cat "$work/code")" '409|202'
same "its FailureReason" "$(jq '.["00081198"].Value[0]["00081197"].Value[0]' "$work/answer")" 49442
stop_node
echo "$n instances in 12 transfer syntaxes"
