// adapters.mjs SEG.dcm SOURCE_DIR TRUTH.json: Cornerstone3D's adapters (what OHIF puts a SEG on its source images with) find the truth's voxels of every
// segment, on the right source image. They are handed the source images' header values as a viewer would.
// Version 5.14.0 refuses a valid SEG whose packed bits are an odd number of bytes (it does not allow for the pad byte): such a size is no test and is refused here.
import assert from 'assert';
import fs from 'fs';
import path from 'path';
import { webcrypto } from 'crypto';
import dcmjs from 'dcmjs';
import { metaData } from '@cornerstonejs/core';
import { adaptersSEG } from '@cornerstonejs/adapters';

// What Node 18 lacks of a browser's names.
globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class extends Event {
	constructor(type, options) {
		super(type, options);
		this.detail = options?.detail ?? null;
	}
};

const [, , segFile, sourceDir, truthFile] = process.argv;
const truth = JSON.parse(fs.readFileSync(truthFile));
assert.strictEqual(truth.packed_bytes % 2, 0, 'these adapters cannot read an odd packed length: choose another size of the series');

const bytes = (file) => { const b = fs.readFileSync(file); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
const header = (file) => dcmjs.data.DicomMetaDictionary.naturalizeDataset(dcmjs.data.DicomMessage.readFile(bytes(file)).dict);
const images = new Map();
for (const name of fs.readdirSync(sourceDir)) {
	const d = header(path.join(sourceDir, name));
	d.ImagePositionPatient = d.ImagePositionPatient.map(Number);
	images.set(`test:${d.SOPInstanceUID}`, d);
}

function modules(type, id) {
	const d = images.get(id);
	if (!d)
		return undefined;
	const orientation = d.ImageOrientationPatient.map(Number), [dy, dx] = d.PixelSpacing.map(Number);
	switch (type) {
	case 'instance': return d;
	case 'generalImageModule': return { sopInstanceUID: d.SOPInstanceUID, instanceNumber: Number(d.InstanceNumber) };
	case 'generalSeriesModule': return { seriesInstanceUID: d.SeriesInstanceUID, modality: d.Modality };
	case 'imagePixelModule': return { bitsAllocated: 16, bitsStored: d.BitsStored, highBit: d.HighBit, samplesPerPixel: 1, pixelRepresentation: d.PixelRepresentation };
	case 'imagePlaneModule':
		return { rows: d.Rows, columns: d.Columns, frameOfReferenceUID: d.FrameOfReferenceUID, imagePositionPatient: d.ImagePositionPatient,
			imageOrientationPatient: orientation, rowCosines: orientation.slice(0, 3), columnCosines: orientation.slice(3),
			pixelSpacing: [dy, dx], rowPixelSpacing: dy, columnPixelSpacing: dx };
	default: return undefined;
	}
}
metaData.addProvider(modules, 1000);

const ids = [...images.keys()];
const result = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(ids, bytes(segFile), { metadataProvider: metaData });
const found = new Map(); // "segment source" -> voxels
for (const layer of result.labelMapImages) {
	layer.forEach((image, i) => {
		const pixels = image.voxelManager.getScalarData();
		for (const v of pixels)
			if (v !== 0)
				found.set(`${v} ${ids[i].slice(5)}`, (found.get(`${v} ${ids[i].slice(5)}`) || 0) + 1);
	});
}
const wanted = new Map(truth.frames.map((f) => [`${f.segment} ${f.source}`, f.voxels]));
assert.deepStrictEqual(found, wanted);
console.log(`voxels of each segment: ${JSON.stringify(truth.segments)}, on ${wanted.size} of ${ids.length} images`);
process.exit(0); // the library keeps timers alive
