// dimse-scp.cjs DIR: dcmjs-dimse as the archive that results are delivered to, on a free port of 127.0.0.1. Prints "port N" and, for each C-STORE, "stored UID";
// what came is kept as DIR/UID.dcm (written anew by dcmjs from what it parsed) with its pixels as DIR/UID.pixels.
const fs = require('fs'), path = require('path');
const { Scp, Server, constants, responses } = require('dcmjs-dimse');

const [, , dir] = process.argv;
const offered = [constants.TransferSyntax.ExplicitVRLittleEndian, constants.TransferSyntax.ImplicitVRLittleEndian];

class Archive extends Scp {
	associationRequested(association) {
		association.getPresentationContexts().forEach(({ id }) => {
			const context = association.getPresentationContext(id);
			const common = offered.find((ts) => context.getTransferSyntaxUids().includes(ts));
			if (common)
				context.setResult(constants.PresentationContextResult.Accept, common);
			else
				context.setResult(constants.PresentationContextResult.RejectTransferSyntaxesNotSupported);
		});
		this.sendAssociationAccept();
	}
	cEchoRequest(request, answer) {
		const response = responses.CEchoResponse.fromRequest(request);
		response.setStatus(constants.Status.Success);
		answer(response);
	}
	cStoreRequest(request, answer) {
		const dataset = request.getDataset(), uid = dataset.getElement('SOPInstanceUID');
		const pixels = dataset.getElement('PixelData');
		fs.writeFileSync(path.join(dir, `${uid}.pixels`), Buffer.from(Array.isArray(pixels) ? pixels[0] : pixels));
		dataset.toFile(path.join(dir, `${uid}.dcm`));
		const response = responses.CStoreResponse.fromRequest(request);
		response.setStatus(constants.Status.Success);
		answer(response);
		console.log(`stored ${uid}`);
	}
	associationReleaseRequested() {
		this.sendAssociationReleaseResponse();
	}
}

const server = new Server(Archive);
server.on('networkError', (e) => console.log(`network: ${e.message}`));
server.on('listening', () => console.log(`port ${server.server.address().port}`));
server.listen({ host: '127.0.0.1', port: 0 }); // what net.Server takes; a number alone would listen on every address
