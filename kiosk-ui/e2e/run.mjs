// Runs the browser tests one after another; names on the command line pick some. A failure ends with status 1.
import { writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './lib.mjs';

// 'signed', 'bydesk' and 'looks' walk a whole mediation: `make test-signed`
const all = ['walk', 'pages', 'papers', 'kiosk', 'faults', 'outages', 'badline', 'journal', 'commands'];
const want = process.argv.slice(2);
const figures = {};
const failed = [];
for (const file of want.length > 0 ? want : all) {
  const test = await import(`./${file}.mjs`);
  console.log(`\n=== ${test.name}`);
  const start = Date.now();
  try {
    Object.assign(figures, await test.run((line) => console.log(`    ${((Date.now() - start) / 1000).toFixed(1).padStart(5)} s  ${line}`)));
    console.log(`--- passed in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  } catch (e) {
    failed.push(`${file}: ${String(e.message ?? e).split('\n')[0]}`);
    const at = (e.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)).join('\n');
    console.error(`--- FAILED: ${e.message ?? e}\n${at}`); // the message, not the stack: tests add to it what pages and server said
  }
}
mkdirSync(build, { recursive: true });
writeFileSync(join(build, 'e2e.json'), JSON.stringify(figures, null, 2) + '\n');
for (const [k, v] of Object.entries(figures)) console.log(`${k} ${v}`);
for (const line of failed) console.error(`FAILED ${line}`); // last, where a cut log still shows it
process.exit(failed.length ? 1 : 0);
