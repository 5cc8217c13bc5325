// What is measured on any page: the rules of accessibility (axe, WCAG 2.0 A to 2.2 AA), and on the TV the sizes and the
// safe area of ui.md.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { check } from './lib.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails with the rules that a page breaks. */
export async function accessible(page, what) {
  await page.waitForTimeout(400); // transitions fade text
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const r = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] });
    return r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`);
  });
  check(found.length === 0, `${what} is accessible: ${found.join('; ')}`);
}

/** Text sizes and the 5 % safe area of ui.md, measured on the glyph boxes. */
export async function readable(tv, what) {
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
      const box = range.getBoundingClientRect();
      const r = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
      for (let p = n.parentElement; p; p = p.parentElement) { // what a box cuts off is not there to be read
        if (getComputedStyle(p).overflow === 'visible') continue;
        const c = p.getBoundingClientRect();
        Object.assign(r, { left: Math.max(r.left, c.left), right: Math.min(r.right, c.right), top: Math.max(r.top, c.top), bottom: Math.min(r.bottom, c.bottom) });
      }
      if (r.right <= r.left || r.bottom <= r.top) continue;
      const slack = (0.24 * px * rem) / 16; // the font's box is 1.45 em, a hanzi is 1 em of it
      if (r.left < 6 * rem - slack || r.right > 114 * rem + slack || r.top < 3.375 * rem - slack || r.bottom > 64.125 * rem + slack) out.push(`outside the safe area "${n.textContent.trim().slice(0, 12)}"`);
    }
    if (document.querySelectorAll('body *').length > 400) out.push('more than 400 nodes');
    return out;
  });
  check(bad.length === 0, `${what}: ${bad.join('; ')}`);
}

/** Fails with what the browser complained of. A page asks who is signed in before anybody is. */
export function quiet(page, what) {
  const bad = page.problems.filter((p) => !/\/staff\/me|\/captures\/mine|\/links\/mine/.test(p));
  check(bad.length === 0, `${what} has no trouble in the browser: ${bad.join('; ')}`);
}

/** Fails with what cannot be used as it stands on the screen: words that a box cuts off, controls that lie under others,
 *  a page that has to be pushed sideways. */
export async function uncovered(page, what) {
  const bad = await page.evaluate(() => {
    const out = [];
    const name = (el) => (el.innerText || el.getAttribute('aria-label') || el.placeholder || el.tagName).replace(/\s+/g, ' ').slice(0, 16);
    if (document.documentElement.scrollWidth > innerWidth + 1) out.push(`wider than the window by ${document.documentElement.scrollWidth - innerWidth}`);
    const modal = [...document.querySelectorAll('.ant-modal, .ant-popconfirm')].find((m) => m.offsetParent !== null || m.getClientRects().length > 0);
    for (const el of document.querySelectorAll('button, input, textarea, .tag, a')) {
      if (modal && !modal.contains(el)) continue;
      const r = el.getBoundingClientRect();
      const css = getComputedStyle(el);
      if (r.width < 2 || r.height < 2 || css.opacity === '0' || css.visibility === 'hidden') continue;
      if (el.matches('button, .tag') && el.scrollWidth > el.clientWidth + 1 && css.textOverflow !== 'ellipsis') out.push(`cut off: "${name(el)}"`);
      const x = r.left + r.width / 2, y = r.top + r.height / 2;
      let seen = x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;
      for (let p = el.parentElement; p && seen; p = p.parentElement) { // scrolled out of its box
        if (getComputedStyle(p).overflowY === 'visible') continue;
        const c = p.getBoundingClientRect();
        seen = y > c.top + 4 && y < c.bottom - 4 && x > c.left && x < c.right;
      }
      if (!seen) continue;
      const top = document.elementFromPoint(x, y);
      if (top && top !== el && !el.contains(top) && !top.contains(el) && !top.closest('label, .ant-select, .ant-input-affix-wrapper')) out.push(`"${name(el)}" lies under "${name(top)}"`);
    }
    return out;
  });
  check(bad.length === 0, `${what}: ${bad.join('; ')}`);
}
