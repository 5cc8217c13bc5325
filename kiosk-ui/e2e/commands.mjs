// An operator's commands to a television in Chromium: message, volume, reload, restart, screenshot with its notice, log; waiting
// for a TV that is off, cancelled, expired, refused in a visit, and done once over killed servers.
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server, another, broken, browser, build, check, open, pagesSay, pause, until } from './lib.mjs';
import { TV, press, signIn, shows, waitText } from './steps.mjs';

export const name = 'commands: an operator\'s commands reach a TV once, and leave its visitors alone';

const LONG = 40_000;
const shots = join(build, 'commands');

/** Counts, over every page of the browser, how often the page was loaded and its loudness set. */
const count = () => {
  const add = (key, v) => localStorage.setItem(key, JSON.stringify([...JSON.parse(localStorage.getItem(key) || '[]'), v]));
  add('test.loads', 1);
  const set = Storage.prototype.setItem;
  Storage.prototype.setItem = function (k, v) {
    if (k === 'heyi.volume') set.call(localStorage, 'test.levels', JSON.stringify([...JSON.parse(localStorage.getItem('test.levels') || '[]'), Number(v)]));
    return set.call(this, k, v);
  };
};
const levels = (tv) => tv.evaluate(() => JSON.parse(localStorage.getItem('test.levels') || '[]'));
const loads = (tv) => tv.evaluate(() => JSON.parse(localStorage.getItem('test.loads')).length);

export async function run(note) {
  mkdirSync(shots, { recursive: true });
  const server = await new Server({ HEYI_FLEET_SWEEP: '1s' }).start();
  const box = await browser({ camera: false });
  const rest = await browser();
  try {
    let operator = await server.api('operator');
    let tv = await open(box, server, '/tv', { ...TV, camera: false });
    await tv.context().addInitScript(count);
    await tv.reload();
    await shows(tv, 'consult', LONG);
    const id = (await operator('/devices?kind=stb')).rows[0].id;
    const path = `/devices/${id}/commands`;
    await until('the TV keeps a journal', async () => (await operator(`/devices/${id}`)).reports.some((r) => r.kind === 'boot'), LONG);
    const issue = (cmd, args, more = {}) => operator(path, { key: randomUUID(), name: cmd, args, ...more });
    const now = async (c) => (await operator(path)).rows.find((r) => r.id === c.id);
    const is = (c, ...states) => until(`${c.name} is ${states}`, async () => {
      const r = await now(c);
      if (!states.includes(r.state)) throw new Error(`${r.state} ${r.code} ${r.waiting}`);
      return r;
    }, LONG);
    const inOrder = (c) => check(c.queued_at > 0 && c.queued_at <= c.delivered_at && c.delivered_at <= c.accepted_at && c.accepted_at <= c.finished_at, `four instants of ${c.name}: ${JSON.stringify(c)}`);

    // ---- message
    const words = '各位乡亲：明天上午 9 点到 11 点停水，请提前存水。';
    const message = await issue('message.show', { text: words, seconds: 120, speak: true });
    await waitText(tv, new RegExp(words.slice(0, 12)));
    await pause(600);
    await tv.screenshot({ path: join(shots, 'tv-message.png') });
    await is(message, 'running');
    await press(tv, 'Enter');
    let done = await is(message, 'succeeded');
    inOrder(done);
    check(done.detail === 'ok', 'the message was closed by OK');
    check(!(await tv.evaluate((w) => document.body.innerText.includes(w), words)), 'the message is gone');
    note(`message read and closed; delivered after ${(done.delivered_at - done.queued_at) / 1000} ms`);
    await pause(3500); // a hand at the keys counts as somebody

    // ---- volume
    done = await is(await issue('volume.set', { level: 30 }), 'succeeded');
    inOrder(done);
    check((await levels(tv)).join() === '30' && (await tv.evaluate(() => localStorage.getItem('heyi.volume'))) === '30', 'the loudness is set and kept');

    // ---- screenshot, with its notice first
    const shot = await issue('screenshot', { reason: '村民反映画面不清楚' });
    await waitText(tv, /值守人员要看一下这块屏幕[\s\S]*村民反映画面不清楚/);
    check((await now(shot)).state !== 'succeeded', 'the notice comes before the picture');
    await tv.screenshot({ path: join(shots, 'tv-notice.png') });
    done = await is(shot, 'succeeded');
    inOrder(done);
    check(done.file.kind === 'screenshot' && done.file.media_type === 'image/png', `file ${JSON.stringify(done.file)}`);
    const cookie = await signedIn(server, 'operator');
    const png = await raw(server, cookie, `${path}/${shot.id}/file`);
    writeFileSync(join(shots, 'taken.png'), png);
    const look = await tv.evaluate(async (b64) => {
      const img = new Image();
      await new Promise((ok, no) => { img.onload = ok; img.onerror = no; img.src = `data:image/png;base64,${b64}`; });
      const c = document.createElement('canvas');
      [c.width, c.height] = [img.width, img.height];
      const g = c.getContext('2d');
      g.drawImage(img, 0, 0);
      const d = g.getImageData(0, 0, c.width, c.height).data;
      const colours = new Set();
      for (let i = 0; i < d.length; i += 4 * 97) colours.add((d[i] >> 4) * 256 + (d[i + 1] >> 4) * 16 + (d[i + 2] >> 4));
      return { w: img.width, h: img.height, colours: colours.size };
    }, png.toString('base64'));
    check(look.w === 1280 && look.h === 720 && look.colours > 40, `the picture shows the page: ${JSON.stringify(look)}`);
    await until('the notice leaves the screen', () => tv.evaluate(() => !document.body.innerText.includes('值守人员要看一下')));
    note(`screenshot of ${png.length} bytes, ${look.colours} colours, after its notice`);

    // ---- log
    done = await is(await issue('log.fetch', { max_bytes: 65536 }), 'succeeded');
    const log = (await raw(server, cookie, `${path}/${done.id}/file`)).toString();
    check(/command screenshot .* succeeded/.test(log) && /line up/.test(log), `log:\n${log}`);
    check(!log.includes('停水') && !log.includes('村民'), 'the log holds no words');

    // ---- the console: what was asked, its instants, its picture; a message from here
    const desk = await signIn(rest, server, `/console?view=devices&device=${id}`, 'operator');
    await waitText(desk, /命令[\s\S]*发通知[\s\S]*截图\s*村民反映画面不清楚[\s\S]*做完[\s\S]*送达\s*\+0\.\d 秒[\s\S]*完成[\s\S]*值守员/, LONG);
    await desk.screenshot({ path: join(shots, 'console.png') });
    await desk.click('.cmd button:has-text("看截图")');
    await until('the picture stands in the console', () => desk.evaluate(() => [...document.querySelectorAll('.cmdpic')].some((i) => i.naturalWidth === 1280)));
    await pause(400);
    await desk.screenshot({ path: join(shots, 'console-picture.png') });
    await desk.keyboard.press('Escape');
    check(/^attachment/.test((await fetch(`${server.url}/api/v1${path}/${done.id}/file`, { headers: { cookie } })).headers.get('content-disposition')), 'files are attachments');
    await desk.click('.cmdb:has-text("发通知")');
    await desk.fill('.cmdform textarea', '请到村委会领宣传册');
    await pause(400);
    await desk.screenshot({ path: join(shots, 'console-ask.png') });
    await desk.click('.ant-modal .ant-btn-primary');
    await waitText(tv, /请到村委会领宣传册/, LONG);
    await waitText(desk, /发通知\s*请到村委会领宣传册\s*在做/, LONG);
    await desk.click('.cmd:has-text("请到村委会") button:has-text("取消")');
    await until('a wrong message is taken off the screen', async () => !(await tv.evaluate(() => document.body.innerText.includes('请到村委会'))), LONG);
    await waitText(desk, /请到村委会领宣传册\s*做完[\s\S]*撤下来了/, LONG);
    await waitText(desk, /发命令[\s\S]*看了截图或日志|看了截图或日志[\s\S]*发命令/, LONG);
    check(broken(desk).length === 0, `nothing broke in the console: ${broken(desk)}`);
    note('the console issues with a question, lists with four instants, cancels, shows the picture');

    // ---- reload and restart
    let before = await loads(tv);
    done = await is(await issue('page.reload'), 'succeeded');
    await shows(tv, 'consult', LONG);
    inOrder(done);
    check((await loads(tv)) === before + 1, 'reloaded once');
    const reboot = await is(await issue('reboot'), 'succeeded');
    await shows(tv, 'consult', LONG);
    check((await loads(tv)) === before + 2, 'restarted once');
    inOrder(reboot);
    note('reloaded and restarted once each');

    // ---- off: it waits, is cancelled, expires; the rest comes when the TV is back
    const kept = await another(tv, server, '/api/v1/info'); // keeps the browser's profile
    await tv.close();
    await until('the TV is off', async () => (await operator(`/devices/${id}`)).presence !== 'connected', LONG);
    const waits = await issue('volume.set', { level: 55 });
    const gone = await issue('message.show', { text: '取消了的话', seconds: 60 });
    const cancelled = await operator(`${path}/${gone.id}/cancel`, { key: randomUUID() });
    check(cancelled.state === 'cancelled' && cancelled.finished_at > 0, 'a command that nobody had is cancelled at once');
    const late = await issue('page.reload', undefined, { not_after_at: Date.now() * 1000 + 1_500_000 });
    await is(late, 'expired');
    check((await now(waits)).state === 'queued' && !(await now(waits)).sent, 'written to nobody is queued');

    // ---- kill -9 between issue and delivery, the TV off
    await server.kill();
    await server.start();
    operator = await server.api('operator');
    before = await kept.evaluate(() => JSON.parse(localStorage.getItem('test.loads')).length);
    tv = await another(kept, server, '/tv');
    await shows(tv, 'consult', LONG);
    done = await is(waits, 'succeeded');
    inOrder(done);
    check((await levels(tv)).join() === '30,55', `levels ${await levels(tv)}`);
    check((await now(gone)).state === 'cancelled' && (await now(late)).state === 'expired', 'what was over stays over');
    check((await loads(tv)) === before + 1, 'the expired reload did not happen');
    note('queued over a killed server and delivered to a TV that came back; the cancelled and the expired one never happened');

    // ---- kill -9 between issue and delivery, the TV on: whatever had been delivered, it is done once
    for (const level of [61, 62, 63]) {
      const c = await issue('volume.set', { level });
      if (level > 61) await pause(level === 62 ? 5 : 120);
      await server.kill();
      await server.start();
      operator = await server.api('operator');
      await is(c, 'succeeded', 'expired'); // the TV may come back late; then it did not happen
      const times = (await levels(tv)).filter((l) => l === level).length;
      check(times === ((await now(c)).state === 'succeeded' ? 1 : 0), `level ${level} was set ${times} times, ${(await now(c)).state}`);
      check((await now(c)).state === 'succeeded', 'it came back in time');
    }
    note('three commands over three killed servers, each done once');

    // ---- in a visit: refused, or waiting for its end
    await shows(tv, 'consult', LONG);
    const visit = tv.waitForResponse((r) => r.url().endsWith('/visits'));
    await press(tv, 'Enter');
    check((await visit).ok(), 'somebody visits');
    await waitText(tv, /哪方面/);
    await refused(() => issue('page.reload'), 'device.serving');
    await refused(() => issue('reboot'), 'device.serving');
    await refused(() => issue('screenshot', { reason: '看看' }), 'device.serving');
    before = await loads(tv);
    const later = await issue('reboot', undefined, { when_busy: 'wait' });
    const after = await issue('message.show', { text: '等您办完再说', seconds: 30 });
    for (const c of [later, after]) await until(`${c.name} waits for the visit`, async () => (await now(c)).waiting === 'visit' && (await now(c)).state === 'accepted');
    check(!(await tv.evaluate(() => document.body.innerText.includes('等您办完再说'))) && (await loads(tv)) === before, 'nothing disturbs the visit');
    const back = await operator(`${path}/${after.id}/cancel`, { key: randomUUID() });
    check(back.cancel_at > 0, 'the TV has it: it is asked');
    await is(after, 'cancelled');
    await press(tv, 'Escape', 'Escape'); // the person leaves to the portal
    await tv.waitForURL((u) => u.pathname !== '/tv');
    await tv.goto(`${server.url}/tv`);
    done = await is(later, 'succeeded');
    await shows(tv, 'consult', LONG);
    check((await loads(tv)) === before + 2, 'restarted once, after the visit');
    note('refused in a visit; the restart waited for its end');
    const wrong = broken(tv).filter((p) => !p.includes('localStorage')); // our own counter, on the blank page of the portal
    check(wrong.length === 0, `nothing broke on the TV: ${wrong}`);

    return { commandDeliveredMs: Math.round((done.delivered_at - done.queued_at) / 1000) };
  } catch (e) {
    e.message += `${await pagesSay(box, rest)}\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

async function refused(f, code) {
  const said = await f().then((c) => `it was taken: ${JSON.stringify(c)}`, (e) => e.message);
  check(said.includes(code), `${code}, but ${said}`);
}

/** The cookie of a signed-in member of staff, for files. */
async function signedIn(server, role) {
  const who = server.staff(role);
  const res = await fetch(`${server.url}/api/v1/staff/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ login: who.login, password: who.password }) });
  return res.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ');
}

async function raw(server, cookie, path) {
  const res = await fetch(`${server.url}/api/v1${path}`, { headers: { cookie } });
  if (!res.ok) throw new Error(`GET ${path}: ${res.status} ${await res.text()}`);
  return Buffer.from(await res.arrayBuffer());
}
