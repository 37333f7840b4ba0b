#!/usr/bin/python3
"""cstore_raw.py PORT FILE...: sends files by C-STORE as they are, whatever they hold: DCMTK's senders refuse what this one is for. One association a file; behind
the C-STORE a C-ECHO on the same association and another on a new one: both must be answered. A line a file: NAME STATUS, the status in four hex digits, or
`aborted` or `closed`. Exit 1 when an echo got no answer. The data set is what stands behind the meta header; of a file without one all of it.
With --cuts FILE: the data set cut at every word (a PDV of odd length ends an association), all on one association; a line a status: STATUS COUNT."""
import os
import re
import socket
import struct
import sys

MR, EXPLICIT, IMPLICIT, VERIFICATION = '1.2.840.10008.5.1.4.1.1.4', b'1.2.840.10008.1.2.1', b'1.2.840.10008.1.2', b'1.2.840.10008.1.1'
PIECE = 16000


def item(kind, value):
    return struct.pack('>BBH', kind, 0, len(value)) + value


def context(number, abstract, transfer):
    return item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract) + item(0x40, transfer))


class Association:
    def __init__(self, port, sop_class, transfer):
        self.socket = socket.create_connection(('127.0.0.1', port), 60)
        self.ids = 0
        body = struct.pack('>HH', 1, 0) + b'SEGAN'.ljust(16) + b'RAW'.ljust(16) + bytes(32) + item(0x10, b'1.2.840.10008.3.1.1.1')
        body += context(1, sop_class, transfer) + context(3, VERIFICATION, IMPLICIT)
        body += item(0x50, item(0x51, struct.pack('>I', 16384)) + item(0x52, b'1.2.3.4'))
        self.socket.sendall(struct.pack('>BBI', 1, 0, len(body)) + body)
        kind, answer = self.pdu()
        if kind != 2 or answer[68 + item_end(answer, 68) + 6] != 0:
            raise SystemExit('the association or its context was refused: %s' % answer[68:].hex())

    def exact(self, n):
        out = b''
        while len(out) < n:
            piece = self.socket.recv(n - len(out))
            if not piece:
                raise EOFError
            out += piece
        return out

    def pdu(self):
        kind, _, n = struct.unpack('>BBI', self.exact(6))
        return kind, self.exact(n)

    def pdv(self, number, flags, value):
        self.socket.sendall(struct.pack('>BBIIBB', 4, 0, len(value) + 6, len(value) + 2, number, flags) + value)

    def command(self, number, field, sop_class, sop_uid=None):
        self.ids += 1
        element = lambda e, v: struct.pack('<HHI', 0, e, len(v) + len(v) % 2) + v + b'\0' * (len(v) % 2)
        short = lambda e, v: element(e, struct.pack('<H', v))
        body = element(2, sop_class) + short(0x100, field) + short(0x110, self.ids)
        body += short(0x700, 0) + short(0x800, 1) + element(0x1000, sop_uid) if sop_uid is not None else short(0x800, 0x101)
        self.pdv(number, 3, element(0, struct.pack('<I', len(body))) + body)

    def status(self):
        """Of the next response; the data set behind it (a comment) is read over."""
        found = None
        while True:
            kind, body = self.pdu()
            if kind == 7:
                return 'aborted'
            while body:
                n, _, flags = struct.unpack('>IBB', body[:6])
                value, body = body[6:4 + n], body[4 + n:]
                if flags & 1:
                    found = struct.unpack('<H', re.search(rb'\x00\x00\x00\x09\x02\x00\x00\x00(..)', value, re.S)[1])[0]
                    has_data = struct.unpack('<H', re.search(rb'\x00\x00\x00\x08\x02\x00\x00\x00(..)', value, re.S)[1])[0] != 0x101
                if flags & 2 and (not flags & 1 or not has_data):
                    return '%04x' % found

    def store(self, sop_class, sop_uid, data):
        try:
            self.command(1, 1, sop_class, sop_uid)
            for at in range(0, max(len(data), 1), PIECE):
                self.pdv(1, 2 if at + PIECE >= len(data) else 0, data[at:at + PIECE])
            return self.status()
        except (EOFError, ConnectionError):
            return 'closed'

    def echo(self):
        self.command(3, 0x30, VERIFICATION)
        return self.status()

    def release(self):
        self.socket.sendall(struct.pack('>BBI', 5, 0, 4) + bytes(4))
        self.pdu()
        self.socket.close()


def item_end(answer, at):
    """Length of the application context item, behind which the first presentation context stands: its result is 6 bytes on."""
    return 4 + struct.unpack('>H', answer[at + 2:at + 4])[0]


def take_apart(path):
    with open(path, 'rb') as f:
        whole = f.read()
    transfer, data = EXPLICIT, whole
    if whole[128:132] == b'DICM' and whole[132:136] == b'\2\0\0\0':
        at = 144 + struct.unpack('<I', whole[140:144])[0]
        data = whole[at:]
        transfer = re.search(rb'\x02\x00\x10\x00UI..([0-9.]+)', whole[132:at], re.S)[1]
    uid = re.search(rb'\x08\x00\x18\x00UI(..)', data[:600], re.S)
    if uid:
        at = uid.end()
        uid = data[at:at + struct.unpack('<H', uid[1])[0]]
    if transfer.endswith(b'.99') and len(data) % 2:
        data += b'\0'  # PS3.5 A.5
    return transfer, data, (uid or b'2.25.7000')


def main():
    port, files = int(sys.argv[1]), sys.argv[2:]
    if files[0] == '--cuts':
        transfer, data, uid = take_apart(files[1])
        association, statuses = Association(port, MR.encode(), transfer), {}
        for n in range(0, len(data), 2):
            status = association.store(MR.encode(), uid, data[:n])
            statuses[status] = statuses.get(status, 0) + 1
        association.release()
        for status, n in sorted(statuses.items()):
            print(status, n)
        return
    for path in files:
        transfer, data, uid = take_apart(path)
        association = Association(port, MR.encode(), transfer)
        status = association.store(MR.encode(), uid, data)
        if status not in ('closed', 'aborted'):
            if association.echo() != '0000':
                raise SystemExit(f'{path}: the association is of no use any more')
            association.release()
        after = Association(port, MR.encode(), EXPLICIT)
        if after.echo() != '0000':
            raise SystemExit(f'{path}: the next association got no answer')
        after.release()
        print(os.path.basename(os.path.dirname(path)), status, flush=True)


main()
