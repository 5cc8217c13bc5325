// Empties embed/ before a build; what is committed stays.
import { readdirSync, rmSync } from 'node:fs';

const keep = new Set(['.keep', 'stub.html']);
for (const name of readdirSync('embed')) if (!keep.has(name)) rmSync(`embed/${name}`, { recursive: true });
