/** The pictures of the screens into docs/images, or into the folder that is named. A test compares. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// Before anything looks for what the terminal can do, and what time it is here.
process.env['FORCE_COLOR'] = '1';
process.env['TZ'] = 'UTC';
const { renderScreens } = await import('./docs/screens.tsx');

const folder = process.argv[2] ?? join(import.meta.dirname, '../docs/images');
await mkdir(folder, { recursive: true });
for (const [name, svg] of Object.entries(await renderScreens())) await writeFile(join(folder, name), svg);
