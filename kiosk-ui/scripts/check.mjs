// The rules that no compiler holds (docs: ui.md §2.4, §8, §16): engine rules of the light pages, texts, size budgets.
//   node scripts/check.mjs             sources and texts, and the budgets of a build that is there
//   node scripts/check.mjs --budgets   a missing build is an error
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const problems = [];
const say = (where, what) => problems.push(`${where}: ${what}`);
const walk = (dir) => (existsSync(dir) ? readdirSync(dir).flatMap((n) => {
  const p = join(dir, n);
  return statSync(p).isDirectory() ? walk(p) : [p];
}) : []);

// ---- 1. what Chromium 66 does not have; Vite lowers syntax, not APIs and not CSS
const css = [
  [/(^|[;{\s])(row-gap|column-gap|gap)\s*:/, 'gap (use grid-gap)'],
  [/(^|[;{\s])inset\s*:/, 'inset (use top/right/bottom/left)'],
  [/aspect-ratio\s*:/, 'aspect-ratio'],
  [/:focus-visible|:focus-within\s*>/, ':focus-visible (use :focus)'],
  [/[:\s(,](clamp|min|max)\(/, 'clamp(), min(), max() (use calc)'],
  [/\d(dvh|svh|lvh|dvw|cqw)\b/, 'new viewport units'],
  [/backdrop-filter/, 'backdrop-filter'],
  [/:(is|where|has)\(/, ':is(), :where(), :has()'],
  [/@(layer|container|property|scope)\b/, 'new at-rules'],
  [/@media[^{]*[<>]=?/, 'range media query'],
  [/(^|[;{\s])&/, 'nesting'],
  [/color-mix\(|oklch\(/, 'new colour functions'],
  [/font-style\s*:\s*italic/, 'italics'],
];
const api = [
  [/\.(at|flat|flatMap|replaceAll|matchAll|findLast|findLastIndex|toSorted|toReversed|toSpliced|replaceChildren)\(/, 'a method Chromium 66 lacks'],
  [/\bObject\.(fromEntries|hasOwn|groupBy)\b/, 'Object.fromEntries, hasOwn, groupBy'],
  [/\bPromise\.(allSettled|any|withResolvers|try)\b/, 'Promise.allSettled, any'],
  [/\bstructuredClone\b|\brandomUUID\b|\bAbortSignal\.(timeout|any)\b|\bWeakRef\b|\bBigInt\b/, 'a global Chromium 66 lacks'],
  [/\b(globalThis|queueMicrotask)\b/, 'globalThis, queueMicrotask (only old.ts)'],
  [/setLocalDescription\(\s*\)/, 'setLocalDescription without a description'],
  [/\.restartIce\(/, 'restartIce (use createOffer({iceRestart: true}))'],
  [/\.focus\(\s*\)/, 'focus() without preventScroll'],
  [/\bnew Intl\.|toLocale(Date|Time)?String\(/, 'Intl answers differently per engine'],
  [/createDataChannel/, 'data channels'],
  [/dangerouslySetInnerHTML|\.innerHTML\s*=/, 'markup from text'],
];
const light = ['tv', 'kiosk', 'tablet', 'phone', 'light', 'core', 'agreement', 'verify', 'texts'].flatMap((d) => walk(`src/${d}`)).filter((f) => !/\.test\.tsx?$/.test(f) && !f.endsWith('hooks.react.ts'));
for (const file of light) {
  const rules = file.endsWith('.css') ? css : /\.tsx?$/.test(file) ? api : [];
  // comments may name what the code must not use
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, ' ')).replace(/(^|\s)\/\/.*$/gm, '$1');
  text.split('\n').forEach((line, i) => {
    for (const [re, name] of rules) {
      if (basename(file) === 'old.ts' || !re.test(line)) continue;
      say(`${file}:${i + 1}`, name);
    }
  });
}

// ---- 2. texts
const dir = 'locales/zh-CN';
const forCitizens = new Set(['common', 'tv', 'tv-late', 'kiosk', 'phone', 'terminal', 'verify', 'dispute', 'party', 'touch']);
const officialese = /提交|系统异常|操作失败|参数|非法|无效|网络异常|超时|用户|贵方|予以|鉴于|敬请|谅解|确认|权限不足|异常/;
const everywhere = /系统异常|操作失败|未知错误|登陆|帐号/;
const allowed = /司法确认/g; // the name of a procedure in court
const hanzi = (s) => (s.match(/\p{Script=Han}/gu) || []).length;
const dicts = {};
for (const file of existsSync(dir) ? readdirSync(dir).filter((f) => f.endsWith('.json')) : []) {
  const raw = readFileSync(join(dir, file), 'utf8');
  const page = basename(file, '.json');
  const dict = (dicts[page] = JSON.parse(raw));
  const seen = new Set();
  for (const [, key] of raw.matchAll(/^\s*"([^"]+)"\s*:/gm)) {
    if (seen.has(key)) say(file, `${key} stands twice`);
    seen.add(key);
  }
  for (const [key, text] of Object.entries(dict)) {
    if (typeof text !== 'string' || text.trim() === '') { say(file, `${key} is empty`); continue; }
    const plain = text.replace(allowed, '');
    const bad = (forCitizens.has(page) ? officialese : everywhere).exec(plain) || everywhere.exec(plain);
    if (bad) say(file, `${key}: “${bad[0]}” is officialese`);
    if (forCitizens.has(page) && /(^|\.)prompt(\.|$)/.test(key) && hanzi(text) > 18) say(file, `${key}: a prompt has at most 18 hanzi, this has ${hanzi(text)}`);
    if (forCitizens.has(page) && key.startsWith('err.')) {
      const parts = text.split('|');
      if (parts.length !== 3 || parts.some((p) => !p.trim())) say(file, `${key} needs three parts: what happened | what to do | 12348`);
      else if (!parts[2].includes('12348')) say(file, `${key} does not name 12348`);
    }
  }
}
for (const page of Object.keys(dicts)) {
  if (page === 'common') continue;
  for (const key of Object.keys(dicts[page])) if (key in (dicts.common || {}) && !(page === 'staff' && key.startsWith('err.'))) say(`${page}.json`, `${key} is in common.json too`);
}

// every fault code of the back end that can reach a page has a sentence
const neverOnPages = /^(import|link|cred|frame|matcher|org|test|x|view|audit|wire|lease|config|room|people|placement|qr|staff|mediation|coord)\.|^(token\.bad|store\.secret|store\.[a-z_]+|device\.bad_.*|claim\.bad_.*|handoff\.(bad_answer|refused|unknown_sender|unknown_unit|other_sender|bad_signature|bad_package|clock|digest_conflict|receipt_mismatch|unreachable|stale)|rtc\.(unknown_type|want_first|not_allowed|bad_frame|bad_text|internal|stale_.*|ticket_.*|data_channel|ufrag_conflict|too_many_tracks|rate_limited|not_here)|auth\.(no_key)|device\.unknown_.*|request\.(bad_id|field.*|bad_.*))$/;
const sources = ['gateway/rest', 'mediation', 'people', 'devices'].flatMap((d) => walk(join('..', d))).filter((f) => f.endsWith('.go') && !f.endsWith('_test.go'));
const codes = new Set();
for (const file of sources) {
  const text = readFileSync(file, 'utf8');
  for (const m of text.matchAll(/fault\.(?:New|Wrap)\(fault\.\w+,\s*"([a-z_]+\.[a-z_]+)"/g)) codes.add(m[1]);
}
for (const code of Array.from(codes).sort()) {
  if (!neverOnPages.test(code) && !Object.values(dicts).some((d) => `err.${code}` in d)) say('common.json', `err.${code} has no sentence`);
}

// ---- 3. budgets, kB of gzip (ui.md §16)
const kb = 1024;
const budgets = {
  light: { 'tv.html': [25, 68, 12], 'kiosk.html': [35, 70, 12], 'phone.html': [35, 70, 12], 'tablet.html': [40, 80, 12] },
  open: { 'verify.html': [20, 20, 4], 'texts.html': [20, 20, 4] },
  desk: { 'desk.html': [320, 510, Infinity], 'console.html': [340, 575, Infinity] },
};
for (const [group, pages] of Object.entries(budgets)) {
  const path = `embed/assets/${group}/manifest.json`;
  if (!existsSync(path)) {
    if (process.argv.includes('--budgets')) say(path, 'no build');
    continue;
  }
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  const size = (file) => gzipSync(readFileSync(join('embed', file)), { level: 9 }).length;
  const closure = (start, lazy) => {
    const seen = new Set();
    const go = (id) => {
      if (seen.has(id) || !manifest[id]) return;
      seen.add(id);
      for (const x of manifest[id].imports || []) go(x);
      if (lazy) for (const x of manifest[id].dynamicImports || []) go(x);
    };
    go(start);
    return Array.from(seen).map((id) => manifest[id]);
  };
  for (const [page, [first, whole, style]] of Object.entries(pages)) {
    if (!manifest[page]) continue;
    const js = (list) => list.reduce((n, e) => n + (e.file && e.file.endsWith('.js') ? size(e.file) : 0), 0) / kb;
    const sheets = new Set(closure(page, true).flatMap((e) => e.css || []));
    const ahead = new Set(closure(page, false).flatMap((e) => e.css || []));
    if (group === 'light') for (const f of sheets) if (!ahead.has(f)) say(page, `${f} comes with a late script, which nobody waits for: import it in main.tsx`);
    const got = [js(closure(page, false)), js(closure(page, true)), Array.from(sheets).reduce((n, f) => n + size(f), 0) / kb];
    ['first screen', 'whole', 'css'].forEach((name, i) => {
      const limit = [first, whole, style][i];
      if (got[i] > limit) say(page, `${name} ${got[i].toFixed(1)} kB, budget ${limit}`);
    });
    process.stdout.write(`${page.padEnd(13)} first ${got[0].toFixed(1)} kB  whole ${got[1].toFixed(1)} kB  css ${got[2].toFixed(1)} kB\n`);
  }
}

if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n${problems.length} problem(s)\n`);
  process.exit(1);
}
process.stdout.write(`checked ${light.length} light sources, ${Object.values(dicts).reduce((n, d) => n + Object.keys(d).length, 0)} texts, ${codes.size} fault codes\n`);
