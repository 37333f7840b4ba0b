// serve.cjs DIST CONFIG ARCHIVE_PORT: OHIF's static build on a free port of 127.0.0.1 ("port N"), with CONFIG as its app-config.js;
// /dicom-web and /wado are handed on to the archive, so that the browser sees one origin.
const fs = require('fs'), http = require('http'), path = require('path');

const [, , dist, config, archive] = process.argv;
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm',
	'.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2' };

function forward(request, answer) {
	const options = { host: '127.0.0.1', port: Number(archive), path: request.url, method: request.method, headers: request.headers };
	const inner = http.request(options, (reply) => {
		answer.writeHead(reply.statusCode, reply.headers);
		reply.pipe(answer);
	});
	inner.on('error', (e) => answer.writeHead(502).end(e.message));
	request.pipe(inner);
}

const server = http.createServer((request, answer) => {
	const { pathname } = new URL(request.url, 'http://127.0.0.1');
	if (pathname.startsWith('/dicom-web') || pathname.startsWith('/wado'))
		return forward(request, answer);
	let file = pathname === '/app-config.js' ? config : path.join(dist, path.normalize(pathname));
	if (!fs.existsSync(file) || !fs.statSync(file).isFile())
		file = path.join(dist, 'index.html'); // a page of the application
	answer.writeHead(200, { 'content-type': types[path.extname(file)] || 'application/octet-stream' });
	return fs.createReadStream(file).pipe(answer);
});
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
