#!/usr/bin/python3
"""kill_archive.py DIR PORT: a STOW-RS and QIDO-RS archive for tests/load/kill.sh that may be killed at any moment: an instance is DIR/SOPInstanceUID-SHA256, whole or not there."""
import email.parser, email.policy, hashlib, http.server, io, json, os, sys
import pydicom

folder, port = sys.argv[1], int(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass

    def answer(self, what):
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/dicom+json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        uid = self.path.split('SOPInstanceUID=')[-1].split('&')[0]
        is_there = 'SOPInstanceUID=' in self.path and any(f.startswith(uid + '-') and not f.endswith('.part') for f in os.listdir(folder))
        self.answer([{'00080018': {'vr': 'UI', 'Value': [uid]}}] if is_there else [])

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b'Content-Type: ' + self.headers['Content-Type'].encode() + b'\r\n\r\n' + body)
        items = []
        for part in message.iter_parts():
            data = part.get_payload(decode=True)
            ds = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
            name = '%s/%s-%s' % (folder, ds.SOPInstanceUID, hashlib.sha256(data).hexdigest())
            with open(name + '.part', 'wb') as f:
                f.write(data)
            os.rename(name + '.part', name)
            items.append({'00081150': {'vr': 'UI', 'Value': [ds.SOPClassUID]}, '00081155': {'vr': 'UI', 'Value': [ds.SOPInstanceUID]}})
        self.answer({'00081199': {'vr': 'SQ', 'Value': items}})


http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler).serve_forever()
