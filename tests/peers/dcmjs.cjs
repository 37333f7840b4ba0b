// dcmjs.cjs SEG.dcm TRUTH.json: dcmjs parses the SEG; the voxels that its BitArray unpacks, frame by frame, are those of the truth.
const assert = require('assert'), fs = require('fs');
const { data } = require('dcmjs');

const [, , segFile, truthFile] = process.argv;
const truth = JSON.parse(fs.readFileSync(truthFile));
const file = fs.readFileSync(segFile);
const parsed = data.DicomMessage.readFile(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
const seg = data.DicomMetaDictionary.naturalizeDataset(parsed.dict);

const list = (sequence) => (Array.isArray(sequence) ? sequence : [sequence]);
assert.strictEqual(seg.Modality, 'SEG');
assert.strictEqual(Number(seg.NumberOfFrames), truth.frames.length);
assert.strictEqual(list(seg.PixelData).length, 1, 'native pixel data is one value');
const pixels = data.BitArray.unpack(list(seg.PixelData)[0]);
const size = truth.rows * truth.columns;
assert.ok(pixels.length >= size * truth.frames.length, 'the pixels are too few');
truth.frames.forEach((frame, i) => {
	const voxels = pixels.subarray(i * size, (i + 1) * size).reduce((sum, v) => sum + (v !== 0), 0);
	const group = list(seg.PerFrameFunctionalGroupsSequence)[i];
	assert.strictEqual(voxels, frame.voxels, `voxels of frame ${i + 1}`);
	assert.strictEqual(Number(list(group.SegmentIdentificationSequence)[0].ReferencedSegmentNumber), frame.segment);
});
assert.ok(!pixels.subarray(size * truth.frames.length).some((v) => v !== 0), 'a bit is set behind the last frame');
console.log(`${truth.frames.length} frames of ${truth.rows} x ${truth.columns}`);
