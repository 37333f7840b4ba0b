#!/usr/bin/python3
"""stow_receiver.py DIR [--status LIST]: a STOW-RS service that is not ours, for tests. Listens on a free port of 127.0.0.1, prints "port N",
stores every part of POST /dicom-web/studies[/UID] as DIR/<SOPInstanceUID>.dcm, what comes with other bytes under the same UID as DIR/<SOPInstanceUID>.other.dcm (parsed by Python's email package and pydicom).
--status 503,409,200: how to answer the first, second, ... request (the last one stays); 0 closes the connection without an answer."""
import email.parser, email.policy, http.server, io, json, os, sys
import pydicom

folder = sys.argv[1]
statuses = [int(s) for s in sys.argv[3].split(',')] if len(sys.argv) > 3 else [200]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if status == 0:
            self.close_connection = True
            return
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b'Content-Type: ' + self.headers['Content-Type'].encode() + b'\r\n\r\n' + body)
        assert message.get_content_type() == 'multipart/related' and message.get_param('type') == 'application/dicom', self.headers['Content-Type']
        items = []
        for part in message.iter_parts():
            assert part.get_content_type() == 'application/dicom', part.get_content_type()
            data = part.get_payload(decode=True)
            ds = pydicom.dcmread(io.BytesIO(data))
            if status == 200:
                path = os.path.join(folder, ds.SOPInstanceUID + '.dcm')
                if os.path.exists(path) and open(path, 'rb').read() != data:
                    path = path[:-4] + '.other.dcm'
                with open(path, 'wb') as f:
                    f.write(data)
            items.append({'00081150': {'vr': 'UI', 'Value': [ds.SOPClassUID]}, '00081155': {'vr': 'UI', 'Value': [ds.SOPInstanceUID]}})
            if status == 409:
                items[-1]['00081197'] = {'vr': 'US', 'Value': [0xA900]}
        answer = json.dumps({'00081199' if status == 200 else '00081198': {'vr': 'SQ', 'Value': items}}).encode() if status in (200, 409) else b'{}'
        self.send_response(status)
        self.send_header('Content-Type', 'application/dicom+json')
        self.send_header('Content-Length', str(len(answer)))
        if status == 503:
            self.send_header('Retry-After', '1')
        self.end_headers()
        self.wfile.write(answer)
        print('POST', self.path, status, len(items), flush=True)


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print('port', server.server_address[1], flush=True)
server.serve_forever()
