// ONNX Runtime's side of infer_onnx.sh: for every line read from stdin the study DIR/x.f32 goes through DIR/net.onnx, BATCH slices a call; prints "wall CPU" seconds.
// The first time the probabilities are written to DIR/onnx.f32. usage: node infer_onnx.cjs DIR SLICES BATCH THREADS (needs onnxruntime-node beside it)
const fs = require('fs'), readline = require('readline')
const ort = require('onnxruntime-node')
const [dir, slices, batch, threads] = [process.argv[2], ...process.argv.slice(3).map(Number)]
const SIDE = 240, CHANNELS = 4, LABELS = 3, plane = SIDE * SIDE

async function study(session, x, out) {
	for (let k = 0; k < slices; k += batch) {
		const n = Math.min(batch, slices - k)
		const { p } = await session.run({ x: new ort.Tensor('float32', x.subarray(k * CHANNELS * plane, (k + n) * CHANNELS * plane), [n, CHANNELS, SIDE, SIDE]) })
		out.set(p.data, k * LABELS * plane)
	}
}

async function main() {
	const session = await ort.InferenceSession.create(`${dir}/net.onnx`, { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' })
	const raw = fs.readFileSync(`${dir}/x.f32`), out = new Float32Array(slices * LABELS * plane)
	const x = new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4)
	let written = false
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const cpu = process.cpuUsage(), began = process.hrtime.bigint()
		await study(session, x, out)
		const used = process.cpuUsage(cpu)
		const wall = Number(process.hrtime.bigint() - began) / 1e9
		if (!written) fs.writeFileSync(`${dir}/onnx.f32`, new Uint8Array(out.buffer))
		written = true
		console.log(`${wall.toFixed(6)} ${(used.user / 1e6).toFixed(6)}`)
	}
}
main().catch((e) => { console.error(e); process.exit(1) })
