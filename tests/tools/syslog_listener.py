#!/usr/bin/python3
"""A syslog's datagram socket: syslog_listener.py SOCKET FOLDER. Each message becomes FOLDER/NNNN.line, its XML FOLDER/NNNN.xml; says "ready" first."""
import os, re, socket, sys

path, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
n = len([f for f in os.listdir(folder) if f.endswith('.line')])
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists(path):
    os.unlink(path)
s.bind(path)
print('ready', flush=True)
while True:
    message = s.recv(1 << 16)
    head, bom, xml = message.partition(b'\xef\xbb\xbf')
    name = '%s/%04d' % (folder, n)
    n += 1
    good = bom and re.fullmatch(rb'<8[45]>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]{1,255} segand \d+ DICOM\+RFC3881 - ', head)
    with open(name + '.xml', 'wb') as f:
        f.write(xml if good else b'not RFC 5424 as PS3.15 A.7 wants it')
    with open(name + '.line', 'wb') as f:
        f.write(message)
    print(name, 'good' if good else 'bad', re.sub(rb'.*<EventID [^>]*originalText="([^"]*)".*', rb'\1', xml).decode('ascii', 'replace'), flush=True)
