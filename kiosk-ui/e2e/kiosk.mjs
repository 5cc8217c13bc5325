// The kiosk in a township hall by touch, from attract to rating with its own camera; the next person finds nothing of
// the one before, also when that one just walked away. And the tablet of a judicial office.
import { Server, broken, browser, check, decodes, open, pagesSay, until } from './lib.mjs';
import { approve, number, signIn, take, text, waitText, wroteUp } from './steps.mjs';

export const name = 'kiosk: a consult by touch, idle wipe, nothing left; tablet: sign-in';

const LONG = 30_000;
const KIOSK = { width: 1080, height: 1920, hasTouch: true };
const TABLET = { width: 1280, height: 800, hasTouch: true };

export async function run(note) {
  const server = await new Server().start();
  const b = await browser();
  try {
    const desk = await signIn(b, server, '/desk', 'lawyer');
    const kiosk = await open(b, server, '/kiosk', KIOSK);
    await waitText(kiosk, /这台设备还没有入网/, LONG);
    await approve(kiosk, server);
    await waitText(kiosk, /点这里开始/, LONG);
    await consult(kiosk, desk);
    note('attract to rating by touch, faces both ways from its own camera');
    await clean(kiosk, 'after the rating');
    await leftInCall(kiosk, desk);
    note('ended in the middle of a call: cleared, the desk learns it, the next person is a new one');
    await walkedAway(server, kiosk);
    note('60 s untouched: asked, extended by one touch; then 20 s and everything is wiped');
    const tablet = await open(b, server, '/tablet', TABLET);
    await judicialOffice(server, tablet);
    note('tablet: wrong password, sign-in, reload, sign-out asks twice');
    check(broken(kiosk, desk, tablet).length === 0, `nothing broke in the pages: ${broken(kiosk, desk, tablet)}`);
  } catch (e) {
    e.message += `${await pagesSay(b)}\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await b.close(); await server.close();
  }
}

const tap = (page, words) => page.tap(`button:has-text("${words}")`, { timeout: LONG });

/** From attract into the line; answers the number. */
async function draw(kiosk) {
  await tap(kiosk, '点这里开始');
  await tap(kiosk, '汉语');
  await tap(kiosk, '视频找律师');
  await tap(kiosk, '拖欠工钱');
  await waitText(kiosk, /下一个就是您/, LONG);
  return number(kiosk);
}

async function endCall(desk) {
  await desk.click('button:has-text("结束")');
  await desk.click('.ant-popconfirm-buttons .ant-btn-dangerous, .ant-popover .ant-btn-primary');
}

async function consult(kiosk, desk) {
  await draw(kiosk);
  check(/摄像头好着，接通才打开/.test(await text(kiosk)), 'the kiosk says that its camera is closed until the call');
  await take(desk);
  await waitText(kiosk, /律师丁 来了/, LONG);
  await tap(kiosk, '接');
  await decodes(kiosk, 10, LONG);
  await decodes(desk, 10, LONG);
  await waitText(kiosk, /谁能听到您\s*律师丁/, LONG);
  await waitText(desk, /一体机，自带摄像头/, LONG);
  await endCall(desk);
  await waitText(kiosk, /这次帮到您了吗/, LONG);
  await until('the camera is closed', () => kiosk.evaluate(() => window.__peers.every((p) => p.connectionState === 'closed' || p.getSenders().every((s) => !s.track || s.track.readyState === 'ended'))));
  await tap(kiosk, '很好');
  await waitText(kiosk, /已清除/, LONG);
}

/** The person ends in the middle of the call; the mediator learns it, and the next person is a new one. */
async function leftInCall(kiosk, desk) {
  await wroteUp(desk);
  const no = await draw(kiosk);
  await take(desk);
  await waitText(kiosk, /律师丁 来了/, LONG);
  await tap(kiosk, '接');
  await decodes(desk, 10, LONG);
  await tap(kiosk, '结束并清除');
  await waitText(kiosk, /要结束吗？\s*这次通话会断开/, LONG);
  await kiosk.tap('.veil button:has-text("结束")');
  await waitText(kiosk, /已清除/, LONG);
  await clean(kiosk, 'after leaving the call');
  await waitText(desk, /掉线了/, LONG);

  const next = await draw(kiosk);
  check(next !== no, `the next person has a number of his own (${no}, ${next})`);
  await endCall(desk);
  await wroteUp(desk);
  await take(desk);
  await waitText(kiosk, /律师丁 来了/, LONG);
  await tap(kiosk, '等一会儿');
  await waitText(kiosk, /号还给您留着，点一下接着排/, LONG);
  await tap(kiosk, '不问了');
  await waitText(kiosk, /您的号会取消/, LONG);
  await kiosk.tap('.veil button:has-text("结束")');
  await waitText(kiosk, /已清除/, LONG);
  await waitText(kiosk, /点这里开始/, LONG);
}

/** What the browser keeps once the screen says 已清除: the machine's own key, and ids at most. */
async function clean(kiosk, when) {
  const kept = await kiosk.evaluate(async () => {
    const dbs = await indexedDB.databases();
    const keys = await new Promise((ok, bad) => {
      const o = indexedDB.open('heyi');
      o.onerror = () => bad(o.error);
      o.onsuccess = () => {
        const q = o.result.transaction('device').objectStore('device').getAllKeys();
        q.onsuccess = () => { o.result.close(); ok(q.result); };
      };
    });
    const caches = 'caches' in window ? await window.caches.keys() : [];
    return { dbs: dbs.map((d) => d.name), keys, caches, local: { ...localStorage }, session: { ...sessionStorage } };
  });
  const { 'heyi.over': over = '', ...rest } = kept.session;
  check(Object.keys(rest).length === 0, `no session storage ${when}: ${JSON.stringify(rest)}`);
  check(/^([0-9a-f-]{36}( |$))*$/.test(over), `what is over is named by ids only ${when}: ${over}`);
  // the machine's own: its boot id, its key, and the journal of its own events with the place where its line goes on
  check(Object.keys(kept.local).every((k) => k === 'heyi.boot' || k === 'heyi.journal.kiosk' || k === 'heyi.log.kiosk') && kept.caches.length === 0, `no local storage of a person, no caches ${when}: ${JSON.stringify(kept)}`);
  check(/^[\x20-\x7e\n]*$/.test(kept.local['heyi.log.kiosk'] ?? ''), `the machine's log names states, no words of people ${when}`);
  check(kept.dbs.every((d) => d === 'heyi' || d === 'heyi.journal') && kept.keys.join() === 'kiosk', `only the machine's own key and journal ${when}: ${JSON.stringify(kept)}`);
  check((await kiosk.context().cookies()).length === 0, `no cookies ${when}`);
}

/** The browser's clock is moved, the server's is not. */
async function walkedAway(server, before) {
  const kiosk = await before.context().newPage();
  await before.close();
  await kiosk.clock.install();
  const closed = [];
  kiosk.on('request', (r) => { if (/\/visits\/[^/]+\/close$/.test(r.url())) closed.push(r.postDataJSON().why); });
  await kiosk.goto(`${server.url}/kiosk`);
  await tap(kiosk, '点这里开始');
  await tap(kiosk, '汉语');
  await waitText(kiosk, /您要办什么事/, LONG);
  await kiosk.clock.runFor(61_000);
  await waitText(kiosk, /您还在吗？/, LONG);
  check(/秒后清除您的信息/.test(await text(kiosk)), 'the question says what will happen');
  await tap(kiosk, '继续');
  await until('the question is gone', async () => !/您还在吗/.test(await text(kiosk)), LONG);
  check(/您要办什么事/.test(await text(kiosk)), 'one touch goes on where the person was');
  await kiosk.clock.runFor(61_000);
  await waitText(kiosk, /您还在吗？/, LONG);
  await kiosk.clock.runFor(21_000);
  await waitText(kiosk, /已清除/, LONG);
  check(closed.join() === 'idle', `the server heard why: ${closed}`);
  await clean(kiosk, 'after the idle wipe');
  await kiosk.clock.runFor(5_000);
  await waitText(kiosk, /点这里开始/, LONG);
  await kiosk.close();
}

async function judicialOffice(server, tablet) {
  await waitText(tablet, /这台设备还没有入网/, LONG);
  await approve(tablet, server);
  await waitText(tablet, /工作人员登录/, LONG);
  const who = server.staff('worker');
  await tablet.fill('input[autocomplete=username]', who.login);
  await tablet.fill('input[type=password]', 'falsch');
  await tap(tablet, '登录');
  await waitText(tablet, /名字或密码不对/, LONG);
  await tablet.fill('input[type=password]', who.password);
  await tap(tablet, '登录');
  await waitText(tablet, new RegExp(who.name), LONG);
  await tablet.reload();
  await waitText(tablet, new RegExp(who.name), LONG);
  check(/这个账号不接排队的人/.test(await text(tablet)), 'a worker has no seat');
  await tap(tablet, '退出登录');
  await tap(tablet, '再点一次就退出');
  await waitText(tablet, /工作人员登录/, LONG);
}
