// Several of the packages ship ES modules in files called .js without saying so in their package.json. Bundlers and the newest Node look into the file; this
// loader does it for Node 18.
import fs from 'fs';
import { fileURLToPath } from 'url';

export async function load(url, context, next) {
	if (context.format === 'commonjs' && url.startsWith('file:') && url.endsWith('.js')) {
		const source = fs.readFileSync(fileURLToPath(url), 'utf8');
		if (/^(import|export)\b/m.test(source))
			return { format: 'module', source, shortCircuit: true };
	}
	return next(url, context);
}
