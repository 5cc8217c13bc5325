// Every page opens clean: no exception, no request to a foreign host, no accessibility violation (axe, WCAG 2.0 A to
// 2.2 AA); on the TV nothing to read is under 32 px or outside the safe area, at every size a box may report.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Server, browser, check, open, until } from './lib.mjs';
import { DESK, PHONE, TV, approve, askForLawyer, press, shows, signIn, text, waitText } from './steps.mjs';

export const name = 'pages: clean, accessible, readable';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails with the rules that a page breaks. */
async function accessible(page, what) {
  await page.waitForTimeout(400); // transitions fade text
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const r = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] });
    return r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`);
  });
  check(found.length === 0, `${what} is accessible: ${found.join('; ')}`);
}

/** Text sizes and the 5 % safe area of ui.md, measured on the glyph boxes. */
async function readable(tv, what) {
  const bad = await tv.evaluate(() => {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const out = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const n = walk.currentNode;
      if (!n.textContent.trim() || !n.parentElement.offsetParent) continue;
      const px = (parseFloat(getComputedStyle(n.parentElement).fontSize) / rem) * 16;
      if (px < 31.9) out.push(`${px.toFixed(1)} px "${n.textContent.trim().slice(0, 12)}"`);
      const range = document.createRange();
      range.selectNodeContents(n);
      const r = range.getBoundingClientRect();
      const slack = 0.45 * rem; // a line box is taller than its glyphs
      if (r.left < 6 * rem - slack || r.right > 114 * rem + slack || r.top < 3.375 * rem - slack || r.bottom > 64.125 * rem + slack) out.push(`outside the safe area "${n.textContent.trim().slice(0, 12)}"`);
    }
    if (document.querySelectorAll('body *').length > 400) out.push('more than 400 nodes');
    return out;
  });
  check(bad.length === 0, `${what}: ${bad.join('; ')}`);
}

const quiet = (page, what) => {
  // a page asks who is signed in before anybody is
  const bad = page.problems.filter((p) => !/\/staff\/me|\/captures\/mine/.test(p));
  check(bad.length === 0, `${what} has no trouble in the browser: ${bad.join('; ')}`);
};

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  try {
    for (const [path, size, wait] of [['/', DESK, /和议/], ['/desk', DESK, /密码/], ['/console', DESK, /密码/], ['/phone', PHONE, /12348/], ['/verify', PHONE, /哪些单位能盖章/], ['/verify?d=' + '0f'.repeat(32), DESK, /核对码/], ['/demo/texts', PHONE, /还没有短信/], ['/kiosk', { width: 1080, height: 1920 }, /入网/], ['/tablet', { width: 1280, height: 800 }, /入网/]]) {
      const page = await open(box, server, path, { ...size, camera: false });
      await waitText(page, wait, 20_000);
      await accessible(page, path);
      quiet(page, path);
      await page.context().close();
    }
    note('sign-in, start, phone, check of papers, demo phone, kiosk and tablet pages');
    for (const size of [TV, { width: 3840, height: 2160 }, { width: 1280, height: 720 }, { width: 960, height: 540, scale: 2 }]) {
      const tv = await open(box, server, '/tv', { ...size, camera: false });
      const at = `${size.width}x${size.height}`;
      await shows(tv, 'consult', 20_000);
      await readable(tv, `TV home at ${at}`);
      if (size === TV) await accessible(tv, 'TV home');
      check(!/[0-9]{3}|张|李/.test((await text(tv)).replace(/\d\d:\d\d|12348|\d+月\d+日/g, '')), 'the TV shows nothing personal before a visit');
      await press(tv, '0');
      await readable(tv, `TV help at ${at}`);
      await press(tv, 'Escape');
      await askForLawyer(tv);
      await until('the QR code', () => tv.evaluate(() => [...document.querySelectorAll('img.qrimg')].some((i) => i.naturalWidth > 0)), 15_000);
      await readable(tv, `TV waiting at ${at}`);
      if (size === TV) await accessible(tv, 'TV waiting');
      quiet(tv, `TV at ${at}`);
      await tv.context().close();
    }
    note('TV at four sizes');
    const desk = await signIn(box, server, '/desk', 'lawyer', DESK, { camera: false });
    await waitText(desk, /我准备好了/);
    await accessible(desk, 'desk, idle');
    const op = await signIn(box, server, '/console', 'operator', DESK, { camera: false });
    await waitText(op, /总览/);
    for (const view of ['overview', 'devices', 'queue', 'cases', 'handoffs', 'enrol']) {
      await op.goto(`${server.url}/console?view=${view}`);
      await waitText(op, /总览/);
      await op.waitForTimeout(1200);
      await accessible(op, `console, ${view}`);
    }
    const kiosk = await open(box, server, '/kiosk', { width: 1080, height: 1920, camera: false });
    await approve(kiosk, server);
    await waitText(kiosk, /点这里开始/, 40_000);
    await accessible(kiosk, 'kiosk, attract');
    await kiosk.getByText('点这里开始').first().click();
    await waitText(kiosk, /汉语/);
    await accessible(kiosk, 'kiosk, language');
    const small = await kiosk.evaluate(() => [...document.querySelectorAll('button')].filter((b) => b.offsetParent).map((b) => b.getBoundingClientRect()).filter((r) => r.height < 72 || r.width < 72).length);
    check(small === 0, 'every target of the kiosk is at least 72 px');
    for (const p of [desk, op, kiosk]) quiet(p, new URL(p.url()).pathname);
    note('desk, console and kiosk');
    return {};
  } catch (e) {
    e.message += `\n--- server ---\n${server.tail(10)}`;
    throw e;
  } finally {
    await box.close(); await server.close();
  }
}
