// viewer.cjs URL TRUTH.json OUT_DIR: OHIF in a headless Chromium opens the study and, by double click on its thumbnail as a person does it, the SEG. Judged are
// pixels of two screenshots of the viewport at the slice with the largest mask, with the SEG and with it switched off: the colour is there, its centroid is where pydicom's mask
// lies, its area is the mask's, and what it covers is brighter than the head is (a FLAIR abnormality). Leaves OUT_DIR/without.png and with.png.
const assert = require('assert'), fs = require('fs'), path = require('path');
const puppeteer = require('puppeteer-core');

const [, , url, truthFile, out] = process.argv;
const truth = JSON.parse(fs.readFileSync(truthFile));
const flags = ['--no-sandbox', '--no-proxy-server', '--disable-dev-shm-usage', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
const patience = { timeout: 60000 };
const least_pixels = 1000, far_pixels = 4, area_tolerance = 0.1, least_contrast = 1.3; // 4 pixels are about one voxel here
const margin = 70; // pixels at the viewport's edges that hold OHIF's own texts and buttons

// In the page: shows the source image of the largest frame; false until the viewport shows it.
function show_slice(sop) {
	const viewport = window.cornerstone?.getRenderingEngines()?.[0]?.getViewports()[0];
	const at = viewport?.getImageIds?.().findIndex((id) => id.includes(sop)) ?? -1;
	if (at < 0)
		return false;
	if (viewport.getCurrentImageId()?.includes(sop))
		return true;
	viewport.setImageIdIndex(at).then(() => viewport.render());
	return false;
}

// In the page: the viewport's place, where a point of the patient is seen in it, and how many pixels a millimetre takes.
function project([x, y, z]) {
	const viewport = window.cornerstone.getRenderingEngines()[0].getViewports()[0];
	const box = viewport.element.getBoundingClientRect();
	const at = viewport.worldToCanvas([x, y, z]);
	const up = viewport.getCamera().viewUp;
	const moved = viewport.worldToCanvas([x + 10 * up[0], y + 10 * up[1], z + 10 * up[2]]);
	return { clip: { x: box.x, y: box.y, width: box.width, height: box.height }, at, scale: Math.hypot(moved[0] - at[0], moved[1] - at[1]) / 10 };
}

// In the page: switches what was loaded on or off, and waits until that is drawn.
async function switch_segmentation(on) {
	const { segmentation, Enums } = window.cornerstoneTools;
	const viewport = window.cornerstone.getRenderingEngines()[0].getViewports()[0];
	const { segmentationId } = segmentation.state.getSegmentations()[0];
	segmentation.config.visibility.setSegmentationRepresentationVisibility(viewport.id, { segmentationId, type: Enums.SegmentationRepresentations.Labelmap }, on);
	viewport.render();
	for (let frame = 0; frame < 3; frame++)
		await new Promise(requestAnimationFrame);
}

// In the page: what the screenshot "after" has in colour and the one "before" has not, against "before". The edges are left out.
async function compare(before, after, edge) {
	const pixels = async (base64) => {
		const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
		const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
		context.drawImage(bitmap, 0, 0);
		return context.getImageData(0, 0, bitmap.width, bitmap.height);
	};
	const a = await pixels(before), b = await pixels(after);
	const colour = (image, i) => Math.max(...image.data.subarray(i, i + 3)) - Math.min(...image.data.subarray(i, i + 3)) > 24;
	const r = { before: 0, pixels: 0, x: 0, y: 0, under: 0, head: 0, head_pixels: 0 };
	for (let i = 0; i < b.data.length; i += 4) {
		const x = (i / 4) % b.width, y = Math.floor(i / 4 / b.width);
		if (Math.min(x, y, b.width - 1 - x, b.height - 1 - y) < edge)
			continue;
		const was = colour(a, i), grey = a.data[i];
		r.before += was;
		if (!was && grey > 24) {
			r.head += grey;
			r.head_pixels++;
		}
		if (was || !colour(b, i))
			continue;
		r.pixels++;
		r.x += x;
		r.y += y;
		r.under += grey;
	}
	return { before: r.before, pixels: r.pixels, centroid: [r.x / r.pixels, r.y / r.pixels], contrast: r.under / r.pixels / (r.head / r.head_pixels) };
}

async function judge(page) {
	await page.setViewport({ width: 1500, height: 950 });
	await page.evaluateOnNewDocument(() => localStorage.setItem('shownTours', '["basicViewerTour"]'));
	await page.goto(url, { waitUntil: 'domcontentloaded', ...patience });
	const settled = () => page.waitForFunction(show_slice, patience, truth.largest.source);
	const shot = async (name, clip) => {
		const png = await page.screenshot({ clip, encoding: 'base64' });
		fs.writeFileSync(path.join(out, name), Buffer.from(png, 'base64'));
		return png;
	};
	await settled();
	const thumbnail = await page.waitForSelector('[data-cy="study-browser-thumbnail-no-image"]', patience);
	await thumbnail.click({ count: 2 });
	await (await page.waitForSelector('[data-cy="yes-hydrate-btn"]', patience)).click();
	await page.waitForFunction(() => window.cornerstoneTools.segmentation.state.getSegmentations().length > 0, patience);
	await page.waitForFunction(() => !document.querySelector('[data-cy="yes-hydrate-btn"]'), patience);
	let seen, place, moved;
	const end = Date.now() + patience.timeout;
	do { // until the colour is drawn and the page, which opens a panel now, stands still
		await settled();
		place = await page.evaluate(project, truth.largest.centre);
		const on = await shot('with.png', place.clip);
		await page.evaluate(switch_segmentation, false);
		const off = await shot('without.png', place.clip);
		await page.evaluate(switch_segmentation, true);
		seen = await page.evaluate(compare, off, on, margin);
		moved = JSON.stringify(await page.evaluate(project, truth.largest.centre)) !== JSON.stringify(place);
	} while ((moved || seen.pixels < least_pixels) && Date.now() < end);
	return { seen, place, moved };
}

(async () => {
	const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', headless: true, args: flags });
	try {
		const { seen, place, moved } = await judge(await browser.newPage());
		const away = Math.hypot(seen.centroid[0] - place.at[0], seen.centroid[1] - place.at[1]);
		const area = seen.pixels / (truth.largest.area_mm2 * place.scale ** 2);
		console.log(JSON.stringify({ seen, place }));
		assert.ok(!moved, 'the viewport does not stand still');
		assert.ok(seen.pixels > least_pixels, `${seen.pixels} coloured pixels`);
		assert.ok(away < far_pixels, `the colour is ${away.toFixed(1)} pixels away from the mask`);
		assert.ok(Math.abs(area - 1) < area_tolerance, `the colour has ${area.toFixed(2)} of the mask's area`);
		assert.ok(seen.contrast > least_contrast, `what is coloured is only ${seen.contrast.toFixed(2)} as bright as the head`);
		console.log(`${seen.pixels} coloured pixels (${seen.before} before), ${away.toFixed(1)} pixels from the mask's centre, ` +
			`${area.toFixed(2)} of its area, ${seen.contrast.toFixed(2)} as bright as the head`);
	} finally {
		await browser.close();
	}
})().catch((e) => { console.log(e.message); process.exit(1); });
