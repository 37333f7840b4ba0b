#!/usr/bin/python3
"""dicomweb_archive.py DIR [--fail N] [--token TEXT] [--cut N]: a DICOMweb archive that is not ours, for tests: QIDO-RS (studies, series of a study; limit and offset;
a query key must be equal, * at its end) and WADO-RS (a series) over the DICOM files below DIR. Listens on a free port of 127.0.0.1, prints "port N".
--fail N: the first N requests are answered 503. --token TEXT: others are answered 401.
--cut N: the first N series end in the middle of their last instance."""
import glob, http.server, json, os, sys, urllib.parse
import pydicom
from pydicom.datadict import tag_for_keyword

folder, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
fail, cut, token = [int(options.get('--fail', 0))], [int(options.get('--cut', 0))], options.get('--token')
files = [(f, pydicom.dcmread(f, stop_before_pixels=True)) for f in sorted(glob.glob(folder + '/**/*.dcm', recursive=True))]


def fits(d, key, wanted):
    value = str(d.get(tag_for_keyword(key) or int(key, 16)).value if (tag_for_keyword(key) or int(key, 16)) in d else '')
    return value.startswith(wanted[:-1]) if wanted.endswith('*') else value == wanted


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass

    def answer(self, status, kind='text/plain', body=b''):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def found(self, keyword, query, over):
        tag = '%08X' % tag_for_keyword(keyword)
        limit, offset = int(query.pop('limit', 50)), int(query.pop('offset', 0))
        rows = {}
        for _, d in over:
            if all(fits(d, k, v) for k, v in query.items()):
                rows[d[keyword].value] = {tag: {'vr': 'UI', 'Value': [d[keyword].value]}, '00080060': {'vr': 'CS', 'Value': [d.Modality]}}
        rows = [rows[k] for k in sorted(rows)][offset:][:min(limit, 2)]                # small pages: whoever asks must turn them
        self.answer(200 if rows else 204, 'application/dicom+json', json.dumps(rows).encode() if rows else b'')

    def do_GET(self):
        print('GET', self.path, flush=True)
        if fail[0] > 0:
            fail[0] -= 1
            return self.answer(503)
        if token and self.headers.get('Authorization') != 'Bearer ' + token: return self.answer(401)
        url = urllib.parse.urlsplit(self.path)
        query, path = dict(urllib.parse.parse_qsl(url.query)), url.path.split('/')[2:]  # /dicom-web/...
        here = [x for x in files if len(path) < 2 or x[1].StudyInstanceUID == path[1]]
        if path == ['studies']: return self.found('StudyInstanceUID', query, here)
        if path[2:] == ['series']: return self.found('SeriesInstanceUID', query, here)
        here = [f for f, d in here if len(path) == 4 and d.SeriesInstanceUID == path[3]]
        if not here: return self.answer(404)
        assert self.headers['Accept'] == 'multipart/related; type="application/dicom"', self.headers['Accept']
        body = b''.join(b'\r\n--of parts\r\nContent-Type: application/dicom\r\n\r\n' + open(f, 'rb').read() for f in here) + b'\r\n--of parts--\r\n'
        if cut[0] > 0:
            cut[0] -= 1
            body = body[:-1000]
        self.answer(200, 'multipart/related; type="application/dicom"; boundary="of parts"', body)


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print('port', server.server_address[1], flush=True)
server.serve_forever()
