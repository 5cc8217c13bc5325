// Every page opens clean: no exception, no request to a foreign host, no accessibility violation (axe, WCAG 2.0 A to
// 2.2 AA); on the TV nothing to read is under 32 px or outside the safe area, at every size a box may report.
import { accessible, quiet, readable } from './axe.mjs';
import { Server, browser, check, open, until } from './lib.mjs';
import { DESK, PHONE, TV, approve, askForLawyer, press, shows, signIn, text, waitText } from './steps.mjs';

export const name = 'pages: clean, accessible, readable';

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  try {
    for (const [path, size, wait] of [['/', DESK, /和议/], ['/desk', DESK, /密码/], ['/console', DESK, /密码/], ['/phone', PHONE, /12348/], ['/verify', PHONE, /哪些单位能盖章/], ['/verify?d=' + '0f'.repeat(32), DESK, /核对码/], ['/demo/texts', PHONE, /还没有短信/], ['/kiosk', { width: 1080, height: 1920 }, /入网/], ['/tablet', { width: 1280, height: 800 }, /入网/]]) {
      const page = await open(box, server, path, { ...size, camera: false });
      await waitText(page, wait);
      await accessible(page, path);
      quiet(page, path);
      await page.context().close();
    }
    note('sign-in, start, phone, check of papers, demo phone, kiosk and tablet pages');
    for (const size of [TV, { width: 3840, height: 2160 }, { width: 1280, height: 720 }, { width: 960, height: 540, scale: 2 }]) {
      const tv = await open(box, server, '/tv', { ...size, camera: false });
      const at = `${size.width}x${size.height}`;
      await shows(tv, 'consult');
      await readable(tv, `TV home at ${at}`);
      if (size === TV) await accessible(tv, 'TV home');
      check(!/[0-9]{3}|张|李/.test((await text(tv)).replace(/\d\d:\d\d|12348|\d+月\d+日/g, '')), 'the TV shows nothing personal before a visit');
      await press(tv, '0');
      await readable(tv, `TV help at ${at}`);
      await press(tv, 'Escape');
      await askForLawyer(tv);
      await until('the QR code', () => tv.evaluate(() => [...document.querySelectorAll('img.qrimg')].some((i) => i.naturalWidth > 0)));
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
    await box.close(); await rest.close(); await server.close();
  }
}
