// dimse-scu.cjs PORT DIR: dcmjs-dimse, a DIMSE implementation without a line of DCMTK, asks C-ECHO and sends every file of DIR with C-STORE; all must be answered 0x0000.
const fs = require('fs'), path = require('path');
const { Client, requests, constants } = require('dcmjs-dimse');

const [, , port, dir] = process.argv;
const answers = { echo: 0, store: 0, other: 0 };
const client = new Client();
function ask(request, kind) {
	request.on('response', (response) => {
		const status = response.getStatus();
		if (status === constants.Status.Success)
			answers[kind]++;
		else {
			answers.other++;
			console.log(`${kind}: status 0x${status.toString(16)}`);
		}
	});
	client.addRequest(request);
}
const files = fs.readdirSync(dir);
ask(new requests.CEchoRequest(), 'echo');
files.forEach((name) => ask(new requests.CStoreRequest(path.join(dir, name)), 'store'));
client.on('networkError', (e) => { console.log(`network: ${e.message}`); process.exit(1); });
client.on('associationRejected', (why) => { console.log(`rejected: ${JSON.stringify(why)}`); process.exit(1); });
client.on('closed', () => {
	console.log(JSON.stringify(answers));
	process.exit(answers.echo === 1 && answers.store === files.length && answers.other === 0 ? 0 : 1);
});
client.send('127.0.0.1', Number(port), 'JSPEER', 'SEGAN');
