// Photographs every screen of the running program at its real size into docs/screens. A simulated fleet makes the
// console alive. Run it with `make screens`; look at the pictures beside the design before committing them.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { mediation } from './mediation.mjs';
import { PATIENCE, Server, browser, build, decodes, open, pagesSay, until } from './lib.mjs';
import { DESK, PHONE, TV, approve, askForLawyer, pairPhone, press, ready, shows, signIn, text, waitText, watchCaptures } from './steps.mjs';
import { takeOffer } from './walk.mjs';

const out = resolve(import.meta.dirname, '../../docs/screens');
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

async function shot(page, name) {
  await page.waitForTimeout(900); // transitions and the first picture of a video
  await page.screenshot({ path: join(out, `${name}.png`) });
  console.log(name);
}

/** The papers of a finished mediation as they come from the case store, every page as a picture. */
async function papers(page, id) {
  const names = { '人民调解协议书': 'agreement', '签署证据页': 'evidence', '签署本': 'signed', '调解记录': 'record', '权利义务告知书': 'notice', '受理登记表': 'registration', '身份证明': 'identity' };
  const list = await page.evaluate(async (id) => {
    const found = await (await fetch(`/api/v1/cases/${id}`)).json();
    const pdfs = found.papers.filter((p) => p.media_type === 'application/pdf');
    return Promise.all(pdfs.map(async (p) => ({ name: p.name, body: Array.from(new Uint8Array(await (await fetch(`/api/v1/cases/${id}/files/${p.digest}`)).arrayBuffer())) })));
  }, id);
  for (const { name, body } of list) {
    const as = Object.entries(names).find(([zh]) => name.includes(zh))?.[1];
    if (as === undefined) throw new Error(`a paper without a picture: ${name}`);
    const file = join(server.data, `${as}.pdf`);
    writeFileSync(file, Buffer.from(body));
    execFileSync('pdftoppm', ['-r', '90', '-png', file, join(out, `paper-${as}`)]);
    console.log(`paper-${as}`);
  }
}

const server = await new Server({ HEYI_MEDIA_PROFILE: 'auto' }).start();
const fleet = spawn(join(build, 'fleetsim'), ['run', '-demo', join(server.data, 'demo.json'), '-size', '40'], { stdio: 'ignore' });
const box = await browser({ camera: false });
const rest = await browser({ camera: true });

async function walk(size, tag, all) {
  const tv = await open(box, server, '/tv', { ...size, camera: false });
  const captures = watchCaptures(tv);
  await shows(tv, 'consult');
  await shot(tv, `tv-home${tag}`);
  if (all) {
    await press(tv, '0');
    await shot(tv, 'tv-help');
    await press(tv, 'Escape');
    await press(tv, '6', 'Enter');
    await until('a QR code', () => captures.url);
    await shot(tv, 'tv-phone');
    await press(tv, 'Escape');
    await press(tv, '1', 'Enter');
    await waitText(tv, /哪方面/);
    await shot(tv, 'tv-category');
    await tv.waitForTimeout(450);
    await press(tv, 'Enter');
    await tv.waitForTimeout(600);
    await shot(tv, 'tv-language');
    await press(tv, 'Enter');
    await waitText(tv, /前面还有|下一个就是您/);
  } else {
    await askForLawyer(tv);
  }
  await until('a capture link', () => captures.url);
  await shot(tv, `tv-waiting${tag}`);
  return { tv, captures };
}

try {
  const start = await open(rest, server, '/', DESK);
  await shot(start, 'start');
  const gate = await open(rest, server, '/desk', DESK);
  await gate.waitForSelector('input[name=login]');
  await shot(gate, 'desk-signin');
  const desk = await signIn(rest, server, '/desk', 'lawyer');
  await waitText(desk, /我准备好了/);
  await shot(desk, 'desk-idle');

  const { tv, captures } = await walk(TV, '', true);
  const peek = await open(rest, server, '/phone', PHONE);
  await peek.waitForTimeout(500);
  await shot(peek, 'phone-home');
  const phone = await pairPhone(rest, server, captures);
  await waitText(phone, /排队|等|轮到|下一个/);
  await shot(phone, 'phone-waiting');
  await shot(tv, 'tv-waiting-paired');

  // somebody else waits behind, so that the desk shows a line
  const kiosk = await open(rest, server, '/kiosk', { width: 1080, height: 1920, hasTouch: true });
  await waitText(kiosk, /入网/);
  await shot(kiosk, 'kiosk-claim');
  await approve(kiosk, server);
  await waitText(kiosk, /点这里开始/, 40_000);
  await shot(kiosk, 'kiosk-attract');
  const touch = async (word) => { await kiosk.getByText(word, { exact: false }).first().tap(); await kiosk.waitForTimeout(700); };
  await touch('点这里开始');
  await shot(kiosk, 'kiosk-language');
  await touch('汉语');
  await shot(kiosk, 'kiosk-kind');
  await touch('视频找律师').catch(() => touch('我要咨询'));
  await shot(kiosk, 'kiosk-category');
  await touch('拖欠工钱');
  await waitText(kiosk, /前面还有|下一个/);
  await shot(kiosk, 'kiosk-waiting');

  await ready(desk);
  await waitText(desk, /来人了/);
  await shot(desk, 'desk-offer');
  await takeOffer(desk);
  await shows(tv, 'take');
  await shot(tv, 'tv-ring');
  await shot(phone, 'phone-ring');
  await shot(desk, 'desk-ringing');
  await press(tv, 'Enter');
  await decodes(tv, 30);
  await decodes(desk, 30);
  await desk.fill('textarea >> nth=0', '土地承包合同到期，对方不退还草场').catch(() => {});
  await press(tv, 'ArrowLeft');
  await shot(tv, 'tv-call');
  await shot(desk, 'desk-call');
  await shot(phone, 'phone-call');
  await desk.getByPlaceholder(/先去村委会/).fill('草场合同到期了，可以要回来。先带合同和身份证，到镇司法所说一声。');
  await desk.click('button:has-text("发给对方")');
  await waitText(tv, /给您的答复/);
  await shot(tv, 'tv-answer');
  await press(tv, 'Enter');
  await press(tv, 'Escape');
  await shot(tv, 'tv-leave');
  await press(tv, 'Escape');
  const cdp4k = await open(box, server, '/tv', { width: 3840, height: 2160, camera: false });
  await shows(cdp4k, 'consult');
  await shot(cdp4k, 'tv-home-2160');
  await cdp4k.context().close();

  await desk.click('button:has-text("结束")');
  await desk.click('.ant-popconfirm-buttons .ant-btn-dangerous, .ant-popover .ant-btn-primary');
  await until('the rating is asked', async () => { // the written answer stands there once more before it
    const says = await text(tv);
    if (/帮到您|1 到 5/.test(says)) return true;
    if (/知道了/.test(says)) await press(tv, 'Enter');
    return false;
  }, PATIENCE, 700);
  await shot(tv, 'tv-rating');
  await shot(phone, 'phone-rating');
  await shot(desk, 'desk-wrapup');
  await press(tv, '5');
  await shot(tv, 'tv-goodbye');

  const landscape = await open(rest, server, '/kiosk', { width: 1920, height: 1080, hasTouch: true });
  await approve(landscape, server);
  await waitText(landscape, /点这里开始/, 40_000);
  await shot(landscape, 'kiosk-landscape');

  await kiosk.tap('button:has-text("结束并清除")'); // else the mediator would be given this ticket first
  await kiosk.tap('.veil button:has-text("结束")');
  await waitText(kiosk, /已清除/);
  await mediation({ server, box, rest, look: shot });
  const console_ = await signIn(rest, server, '/console', 'operator');
  await waitText(console_, /总览/);
  await console_.waitForTimeout(1500);
  await shot(console_, 'console-overview');
  for (const [view, name] of [['devices', 'devices'], ['queue', 'queue'], ['cases', 'cases'], ['handoffs', 'handoffs'], ['enrol', 'enrol']]) {
    await console_.goto(`${server.url}/console?view=${view}`);
    await console_.waitForTimeout(2000);
    await shot(console_, `console-${name}`);
  }
  const { rows: [found] } = await (await server.api('operator'))('/cases?kind=dossier');
  await console_.goto(`${server.url}/console?view=cases&case=${found.id}`);
  await waitText(console_, /收到的每一版/);
  await shot(console_, 'console-case');
  await papers(console_, found.id);
  const tablet = await open(rest, server, '/tablet', { width: 1280, height: 800 });
  await approve(tablet, server);
  await tablet.waitForSelector('input', { timeout: 40_000 });
  await shot(tablet, 'tablet-signin');
  const worker = server.staff('worker');
  const inputs = tablet.locator('input');
  await inputs.nth(0).fill(worker.login);
  await inputs.nth(1).fill(worker.password);
  await tablet.getByRole('button', { name: '登录' }).click();
  await waitText(tablet, /已登录|退出登录/);
  await shot(tablet, 'tablet-home');
} catch (e) {
  console.error(e.stack, await pagesSay(box, rest), '\n', server.tail(20));
  process.exitCode = 1;
} finally {
  fleet.kill('SIGTERM');
  await box.close(); await rest.close(); await server.close();
}
