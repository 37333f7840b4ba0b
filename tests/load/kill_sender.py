#!/usr/bin/python3
"""One sender of tests/load/kill.sh: study after study until DIR/stop is there, each until all of it was acknowledged; one that takes over from a killed one goes on with its
study. Some studies are broken off and left, some grow after they were complete, some come again long after.
  kill_sender.py DIR NUMBER HOW     DIR/node.json says where the node is; HOW: dimse (by hand), dcmsend, stow
DIR/sent.NUMBER gets a line an instance that was answered with success, at once: when it was sent, when answered, UID, digest of its data set, study, job|none."""
import hashlib, http.client, json, os, random, re, shutil, socket, struct, subprocess, sys, time

MR, EXPLICIT, APPLICATION = b'1.2.840.10008.5.1.4.1.1.4', b'1.2.840.10008.1.2.1', b'1.2.840.10008.3.1.1.1'
SLICES, FIXED, PIECE, TRIES = 6, '2.25.9%03d%07d', 16000, 40
directory, number, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
node = json.load(open(directory + '/node.json'))
rng = random.Random('%s %d %d' % (node['seed'], number, os.getpid()))
templates = {kind: [open('%s/templates/%s.%d' % (directory, kind, i), 'rb').read() for i in range(SLICES)] for kind in ('job', 'none')}
log = os.open('%s/sent.%d' % (directory, number), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def data_set(raw):
    return raw[144 + struct.unpack('<L', raw[140:144])[0]:]


class Study:
    """The k-th of this sender: the same whoever asks."""
    def __init__(self, k):
        of = random.Random('%s %d %d' % (node['seed'], number, k))
        self.kind = 'job' if of.random() < node['jobs'] else 'none'
        self.uid = FIXED % (number, k)
        self.parts = [('%s.1.%d' % (self.uid, i + 1), raw.replace((FIXED % (999, 0)).encode(), self.uid.encode())) for i, raw in enumerate(templates[self.kind])]
        self.is_left = of.random() < 0.15
        n = of.randint(2, SLICES - 1)
        if self.is_left:
            self.parts = self.parts[:n]
        self.stages = [self.parts[:n], self.parts] if self.kind == 'job' and not self.is_left and of.random() < 0.3 else [self.parts]
        if len(self.stages) == 1 and of.random() < 0.3:
            of.shuffle(self.parts)


# ---- three ways: each yields the UIDs that were answered with success, one by one

def item(kind, value):
    return struct.pack('>BBH', kind, 0, len(value)) + value


def exact(s, n):
    out = b''
    while len(out) < n:
        piece = s.recv(n - len(out))
        if not piece:
            raise OSError('closed')
        out += piece
    return out


def pdu(s, wanted):
    kind, _, n = struct.unpack('>BBI', exact(s, 6))
    body = exact(s, n)
    if kind != wanted:
        raise OSError('PDU %d' % kind)
    return body


def command(message, uid):
    element = lambda e, v: struct.pack('<HHI', 0, e, len(v) + len(v) % 2) + v + b'\0' * (len(v) % 2)
    body = element(2, MR) + b''.join(element(e, struct.pack('<H', v)) for e, v in ((0x100, 1), (0x110, message), (0x700, 0), (0x800, 1))) + element(0x1000, uid.encode())
    return element(0, struct.pack('<I', len(body))) + body


def dimse(study, parts):
    with socket.create_connection(('127.0.0.1', node['dicom']), 60) as s:
        body = struct.pack('>HH', 1, 0) + b'SEGAN'.ljust(16) + b'KILL'.ljust(16) + bytes(32) + item(0x10, APPLICATION)
        body += item(0x20, bytes([1, 0, 0, 0]) + item(0x30, MR) + item(0x40, EXPLICIT)) + item(0x50, item(0x51, struct.pack('>I', 16384)) + item(0x52, b'1.2.3.4'))
        s.sendall(struct.pack('>BBI', 1, 0, len(body)) + body)
        pdu(s, 2)
        for message, (uid, raw) in enumerate(parts):
            data = data_set(raw)
            pieces = [(3, command(message, uid))] + [(2 if at + PIECE >= len(data) else 0, data[at:at + PIECE]) for at in range(0, len(data), PIECE)]
            for flags, value in pieces:
                s.sendall(struct.pack('>BBIIBB', 4, 0, len(value) + 6, len(value) + 2, 1, flags) + value)
            status = struct.unpack('<H', re.search(rb'\x00\x00\x00\x09\x02\x00\x00\x00(..)', pdu(s, 4), re.S)[1])[0]
            if status not in (0, 0xA700):
                raise SystemExit('%s: status %04x' % (uid, status))
            if status == 0:
                yield uid
        if not study.is_left:
            s.sendall(struct.pack('>BBI', 5, 0, 4) + bytes(4))
            pdu(s, 6)


def dcmsend(study, parts):
    folder = '%s/files.%d' % (directory, number)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    for i, (_, raw) in enumerate(parts):
        with open('%s/%d.dcm' % (folder, i), 'wb') as f:
            f.write(raw)
    subprocess.run(['dcmsend', '-q', '-aec', 'SEGAN', '-to', '20', '127.0.0.1', str(node['dicom']), '+sd', folder, '+sp', '*.dcm', '+crf', folder + '/report'], capture_output=True)
    for line in open(folder + '/report') if os.path.exists(folder + '/report') else ():
        if line.startswith('SOP Instance '):
            uid = line.split()[-1]
        elif line.startswith('DIMSE Status') and '0x0000' in line:
            yield uid


def stow(study, parts):
    c, step = http.client.HTTPConnection('127.0.0.1', node['http'], timeout=60), rng.choice((1, 2, 3, 6))
    for at in range(0, len(parts), step):
        body = b''.join(b'--kill\r\nContent-Type: application/dicom\r\n\r\n' + raw + b'\r\n' for _, raw in parts[at:at + step]) + b'--kill--\r\n'
        c.request('POST', '/dicom-web/studies', body, {'Content-Type': 'multipart/related; type="application/dicom"; boundary=kill', 'Accept': 'application/dicom+json'})
        answer = c.getresponse()
        text = answer.read()
        if answer.status not in (200, 503):
            raise SystemExit('STOW: %d %s' % (answer.status, text[:300]))
        for stored in json.loads(text).get('00081199', {}).get('Value', ()):
            yield stored['00081155']['Value'][0]


# ---- one study

def send(study, parts, acknowledged):
    began, raw_of = time.time(), dict(parts)
    try:
        for uid in {'dimse': dimse, 'dcmsend': dcmsend, 'stow': stow}[how](study, parts):
            acknowledged.add(uid)
            what = hashlib.sha256(data_set(raw_of[uid])).hexdigest()
            os.write(log, ('%.3f %.3f %s %s %s %s\n' % (began, time.time(), uid, what, study.uid, study.kind)).encode())
    except (OSError, http.client.HTTPException, ValueError):
        pass                             # killed in the middle


def send_all(study):
    acknowledged = set()
    for parts in study.stages:
        for _ in range(TRIES):
            send(study, parts, acknowledged)
            if acknowledged >= {uid for uid, _ in parts} or (study.is_left and rng.random() < 0.5):
                break
            time.sleep(rng.random() * 0.5)
        if parts is not study.parts:
            time.sleep(rng.choice((0.5, 2, 4)))


at = '%s/at.%d' % (directory, number)
k = int(open(at).read()) if os.path.exists(at) else 0
while not os.path.exists(directory + '/stop'):
    with open(at + '.new', 'w') as f:
        f.write(str(k))
    os.rename(at + '.new', at)
    send_all(Study(k))
    again = Study(max(0, k - rng.choice((1, 5, 30))))
    if not again.is_left and rng.random() < 0.15:
        send(again, again.parts, set())
    k += 1
    time.sleep(rng.random() * node['pace'])
