#!/usr/bin/env python3
"""An archive that takes instances and is asked for storage commitment, with manners of the test's choice (PS3.8 9.3, PS3.4 J), all by hand.

commitment_archive.py PORT NODE-HOST:NODE-PORT ANSWERS: prints "port N", then a line an event: "stored UID", "asked TRANSACTION", "reported TRANSACTION STATUS".
ANSWERS, one a request, comma-separated, the last one for all that follow: "silent" (accepted, never reported), "0000" or another failure reason in hexadecimal
(reported on the same association), "new" (good, on an association of its own), "hold" (good, on one of its own, when a line comes on stdin).
"""
import io
import socket
import struct
import sys
import threading

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.filebase import DicomBytesIO
from pydicom.sequence import Sequence

COMMITMENT, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
IMPLICIT = b"1.2.840.10008.1.2"
APPLICATION = b"1.2.840.10008.3.1.1.1"
lock = threading.Lock()
answers, held, n_asked = [], [], 0


def say(*words):
    with lock:
        print(*words, flush=True)


def encode(ds):
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, ds)
    return out.getvalue()


def decode(data):
    return read_dataset(io.BytesIO(data), True, True)


def item(kind, value):
    return struct.pack(">BBH", kind, 0, len(value)) + value


def pdu(kind, value):
    return struct.pack(">BBI", kind, 0, len(value)) + value


def receive(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive_pdu(s):
    kind, _, n = struct.unpack(">BBI", receive(s, 6))
    return kind, receive(s, n)


def items(data):
    at = 0
    while at + 4 <= len(data):
        kind, _, n = struct.unpack(">BBH", data[at:at + 4])
        yield kind, data[at + 4:at + 4 + n]
        at += 4 + n


def command(fields, sop_class, sop_uid):
    ds = Dataset()
    for tag, vr, value in fields:
        ds.add_new(tag, vr, value)
    ds.add_new(0x00000002, "UI", sop_class)
    ds.add_new(0x00001000, "UI", sop_uid)
    body = encode(ds)
    head = Dataset()
    head.add_new(0x00000000, "UL", len(body))
    return encode(head) + body


def send_message(s, pc, cmd, data=None):
    s.sendall(pdu(4, struct.pack(">IBB", len(cmd) + 2, pc, 3) + cmd))
    if data is not None:
        s.sendall(pdu(4, struct.pack(">IBB", len(data) + 2, pc, 2) + data))


class Messages:
    """Fragments put together: (context, is command, bytes)."""
    def __init__(self, s):
        self.s, self.parts, self.ready = s, {}, []

    def next(self):
        while not self.ready:
            kind, value = receive_pdu(self.s)
            if kind != 4:
                return kind, None, None
            at = 0
            while at < len(value):
                n, pc, flags = struct.unpack(">IBB", value[at:at + 6])
                key = (pc, flags & 1)
                self.parts[key] = self.parts.get(key, b"") + value[at + 6:at + 4 + n]
                if flags & 2:
                    self.ready.append((pc, flags & 1, self.parts.pop(key)))
                at += 4 + n
        pc, _, data = self.ready.pop(0)
        return 4, pc, data


def report(s, messages, pc, transaction, refs, reason):
    ds = Dataset()
    ds.TransactionUID = transaction
    done = []
    for ref in refs:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = ref
        if reason:
            one.FailureReason = reason
        done.append(one)
    if reason:
        ds.FailedSOPSequence = Sequence(done)
    else:
        ds.ReferencedSOPSequence = Sequence(done)
    cmd = command([(0x00000100, "US", 0x0100), (0x00000110, "US", 99), (0x00000800, "US", 1), (0x00001002, "US", 2 if reason else 1)], COMMITMENT, WELL_KNOWN)
    send_message(s, pc, cmd, encode(ds))
    kind, _, data = messages.next()
    if kind != 4:
        say("reported", transaction, "and the association ended")
        return
    rsp = decode(data)
    affected = rsp.get(0x00000002), rsp.get(0x00001000), rsp.get(0x00001002)
    say("reported", transaction, "%04x" % rsp[0x00000900].value if all(affected) else "without the affected UIDs")


def report_anew(node, titles, transaction, refs):
    s = socket.create_connection(node, 20)
    role = struct.pack(">H", len(COMMITMENT)) + COMMITMENT.encode() + b"\0\1"
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3") + item(0x54, role)
    context = item(0x20, b"\1\0\0\0" + item(0x30, COMMITMENT.encode()) + item(0x40, IMPLICIT))
    s.sendall(pdu(1, b"\0\1\0\0" + titles[1] + titles[0] + b"\0" * 32 + item(0x10, APPLICATION) + context + item(0x50, user)))
    kind, value = receive_pdu(s)
    accepted = kind == 2 and any(k == 0x21 and v[2] == 0 for k, v in items(value[68:]))
    if not accepted:
        say("reported", transaction, "and was rejected")
        return
    messages = Messages(s)
    report(s, messages, 1, transaction, refs, 0)
    s.sendall(pdu(5, b"\0" * 4))
    receive_pdu(s)
    s.close()


def next_answer():
    global n_asked
    with lock:
        answer = answers[min(n_asked, len(answers) - 1)]
        n_asked += 1
    return answer


def act(s, messages, node, titles, pc, cmd, data):
    ds = decode(data)
    refs = [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in ds.ReferencedSOPSequence]
    answer = next_answer()
    send_message(s, pc, command([(0x00000100, "US", 0x8130), (0x00000120, "US", cmd[0x00000110].value), (0x00000800, "US", 0x0101), (0x00000900, "US", 0),
                                 (0x00001008, "US", 1)], COMMITMENT, WELL_KNOWN))
    say("asked", ds.TransactionUID, answer)
    if answer == "hold":
        held.append((node, titles, ds.TransactionUID, refs))
    elif answer == "new":
        threading.Thread(target=report_anew, args=(node, titles, ds.TransactionUID, refs), daemon=True).start()
    elif answer != "silent":
        report(s, messages, pc, ds.TransactionUID, refs, int(answer, 16))


def serve(s, node):
    kind, value = receive_pdu(s)
    titles = value[4:20], value[20:36]
    accepted = b""
    for k, v in items(value[68:]):
        if k == 0x20:
            syntaxes = [i for n, i in items(v[4:]) if n == 0x40]
            accepted += item(0x21, bytes([v[0], 0, 0 if syntaxes[0] == IMPLICIT else 4, 0]) + item(0x40, IMPLICIT))
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")
    s.sendall(pdu(2, value[:68] + item(0x10, APPLICATION) + accepted + item(0x50, user)))
    messages = Messages(s)
    while True:
        kind, pc, data = messages.next()
        if kind == 5:
            s.sendall(pdu(6, b"\0" * 4))
        if kind != 4:
            return
        cmd = decode(data)
        _, _, data = messages.next()
        if cmd[0x00000100].value == 0x0130:
            act(s, messages, node, titles, pc, cmd, data)
        else:
            say("stored", cmd[0x00001000].value)
            send_message(s, pc, command([(0x00000100, "US", 0x8001), (0x00000120, "US", cmd[0x00000110].value), (0x00000800, "US", 0x0101), (0x00000900, "US", 0)],
                                        cmd[0x00000002].value, cmd[0x00001000].value))


def serve_one(s, node):
    try:
        serve(s, node)
    except (EOFError, OSError):
        pass
    s.close()


def release_held(line_source):
    for _ in line_source:
        while held:
            report_anew(*held.pop(0))


def main():
    host, port = sys.argv[2].split(":")
    answers.extend(sys.argv[3].split(","))
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    say("port", listening.getsockname()[1])
    threading.Thread(target=release_held, args=(sys.stdin,), daemon=True).start()
    while True:
        s, _ = listening.accept()
        threading.Thread(target=serve_one, args=(s, (host, int(port))), daemon=True).start()


main()
