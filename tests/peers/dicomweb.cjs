// dicomweb.cjs URL DIR: dicomweb-client stores every file of DIR with one STOW-RS request; all must be referenced in the answer and none failed.
// Then the study is sent to another study's address, where each must be refused with a reason (409).
const assert = require('assert'), fs = require('fs'), path = require('path');
global.XMLHttpRequest = require('xhr2'); // the client is written for browsers
const { api } = require('dicomweb-client');

const [, , url, dir] = process.argv;
const datasets = fs.readdirSync(dir).map((name) => {
	const b = fs.readFileSync(path.join(dir, name));
	return b.buffer.slice(b.byteOffset, b.byteOffset + b.length);
});
const parsed = (answer) => (typeof answer === 'string' ? JSON.parse(answer) : answer);

(async () => {
	const client = new api.DICOMwebClient({ url, verbose: false });
	const stored = parsed(await client.storeInstances({ datasets }));
	assert.strictEqual(stored['00081199'].Value.length, datasets.length);
	assert.ok(!stored['00081198'] || (stored['00081198'].Value || []).length === 0, 'something failed');
	const refused = await client.storeInstances({ datasets, studyInstanceUID: '1.2.3.4' }).then(() => null, (error) => error);
	assert.ok(refused, 'another study took the instances');
	assert.strictEqual(refused.status, 409);
	console.log(`${datasets.length} instances stored, and refused under another study`);
})().catch((e) => { console.log(e); process.exit(1); });
