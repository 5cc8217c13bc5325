// The steps of the first walk, as a person takes them: keys on the TV, buttons on the phone and the desk.
import { PATIENCE, until, open, check } from './lib.mjs';

export const TV = { width: 1920, height: 1080 };
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1440, height: 900 };

/** Presses keys on the TV as a remote would: down and up, nothing else. */
export async function press(tv, ...keys) {
  for (const k of keys) { await tv.keyboard.press(k, { delay: 30 }); await tv.waitForTimeout(120); }
}

/** Waits until the TV shows something to press with this id. */
export const shows = (tv, id, ms = PATIENCE) => tv.waitForSelector(`[data-f="${id}"]`, { timeout: ms });

export const text = (page) => page.evaluate(() => document.body.innerText);

export async function waitText(page, want, ms = PATIENCE) {
  await until(`"${want}" on ${new URL(page.url()).pathname}`, async () => (await text(page)).match(want), ms)
    .catch(async (e) => { throw new Error(`${e.message}\n--- the page says ---\n${await text(page)}`); });
}

/** Signs a staff member in on a page of their own. */
export async function signIn(b, server, path, role, size = DESK, extra = {}) {
  const who = server.staff(role);
  const page = await open(b, server, path, { ...size, ...extra });
  await page.fill('input[name=login]', who.login);
  await page.fill('input[name=password]', who.password);
  await page.click('button[type=submit]');
  return page;
}

export const ready = (desk) => desk.click('.foot button:has-text("我准备好了")');
export const seatReady = (desk) => waitText(desk, /准备好了|来人会/);

/** The TV from home into the line: OK on the hero, OK on the first category, OK on the language. */
export async function askForLawyer(tv) {
  await shows(tv, 'consult').catch(async (e) => { throw new Error(`${e.message}\n${await text(tv)}`); });
  await press(tv, 'Enter');
  await waitText(tv, /哪方面/);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await tv.waitForTimeout(450);
  if (/汉语/.test(await text(tv)) && !/前面还有|下一个/.test(await text(tv))) await press(tv, 'Enter');
  await waitText(tv, /前面还有|下一个就是您/);
}

export const number = async (tv) => (await text(tv)).match(/[A-Z] ?\d{3}/)?.[0];

/** Takes the link under the QR code of the TV from the answer that made it, as a phone's camera would read it. */
export function watchCaptures(tv) {
  const box = { url: null, code: null };
  tv.on('response', async (r) => {
    if (r.request().method() === 'POST' && new URL(r.url()).pathname === '/api/v1/captures' && r.ok()) {
      const j = await r.json().catch(() => null);
      if (j) { box.url = j.url; box.code = j.code; }
    }
  });
  return box;
}

/** A phone scans, and one button makes it the camera. */
export async function pairPhone(b, server, captures) {
  const url = await until('a capture link on the TV', () => captures.url);
  const phone = await open(b, server, new URL(url).pathname, PHONE);
  await phone.waitForSelector('button.huge', { timeout: PATIENCE });
  check(/电视/.test(await text(phone)), 'the phone names the TV before anything is spent');
  await phone.click('button.huge');
  return phone;
}

/** OK on the ring: returns the milliseconds from the key to the first decoded remote frame on the TV. */
export async function takeAndTime(tv) {
  await shows(tv, 'take');
  await tv.waitForTimeout(600); // a person looks before pressing; the dead time after a screen change is over too
  await tv.evaluate(() => {
    window.__ok = 0;
    window.__peers = window.__peers.filter((pc) => pc.connectionState !== 'closed'); // those of earlier calls are over
    addEventListener('keyup', (e) => { if (e.keyCode === 13 && !window.__ok) window.__ok = performance.now(); }, { capture: true, once: true });
    window.__first = (async () => {
      for (;;) {
        for (const pc of window.__peers) {
          if (pc.connectionState === 'closed') continue;
          const stats = await pc.getStats();
          for (const s of stats.values()) if (s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded > 0) return performance.now();
        }
        await new Promise((r) => setTimeout(r, 10));
      }
    })();
  });
  await press(tv, 'Enter');
  return tv.evaluate(async () => (await window.__first) - window.__ok);
}

/** The code on a claim screen. */
export const claimCode = (page) => until('a claim code', async () => (await text(page)).match(/[0-9A-Z]{4}-[0-9A-Z]{4}/)?.[0], 30_000);

/** Approves the claim that a kiosk or tablet shows, as an operator at the console would; returns its code. */
export async function approve(page, server, unitName = '萨力巴乡') {
  const code = await claimCode(page);
  await server.enrol(code, new URL(page.url()).pathname === '/kiosk' ? '乡政府一体机' : '司法所平板', unitName);
  return code;
}

/** The desk takes the next offer, back on duty first when offers that lapsed have sent the seat away; the citizen's screen rings. */
export async function take(desk, ms = 30_000) {
  await until('the offer is taken', async () => {
    const says = await text(desk);
    if (/正在叫对方/.test(says)) return true;
    if (/来人了/.test(says)) await desk.keyboard.press('F2');
    // the button may go away under the click, because the seat became ready meanwhile: looked at again
    else if (/我准备好了/.test(says)) await desk.click('.foot button:has-text("我准备好了")', { timeout: 1000 }).catch(() => undefined);
    return false;
  }, ms, 100);
}

/** After a consult without a written answer: the desk says that the person goes elsewhere, and takes the next one. */
export async function wroteUp(desk) {
  await desk.locator('.outcome label:has-text("转到别处")').click();
  await desk.click('button:has-text("写好了，接下一位")');
}
