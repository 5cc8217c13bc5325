// What goes wrong with people and their devices: wrong and used codes, two windows, cameras that are refused, phones
// and televisions that fall silent in a call, mediators who do not answer and citizens who do not either. Everybody is
// told what to do next, and finds the way back.
import { Server, another, broken, browser, check, decodes, media, open, pagesSay, until } from './lib.mjs';
import { DESK, PHONE, TV, askForLawyer, claimCode, number, pairPhone, press, ready, shows, signIn, take, text, waitText, watchCaptures, wroteUp } from './steps.mjs';

export const name = 'faults: codes, windows, cameras, phones and televisions that are lost, nobody answers, revocation';

const LONG = 30_000;
// Such a TV does not look like one that sits on the server's own machine: an operator must enrol it.
const FAR = { extraHTTPHeaders: { 'X-Forwarded-For': '192.0.2.7' } };

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ asks: true });
  try {
    const tv = await open(box, server, '/tv', { ...TV, camera: false, ...FAR });
    const captures = watchCaptures(tv);
    const device = await claim(server, tv);
    note('claim: a wrong code is refused, an approved one cannot be approved again');
    await signInFaults(rest, server);
    note('desk: wrong password, then locked, with the time to wait');
    await noCameraAtAll(box, server);
    const desk = await signIn(rest, server, '/desk', 'lawyer', { ...DESK, camera: false });
    await twoWindows(server, tv, desk);
    note('two windows of one TV and of one seat: the older says so and comes back when asked');
    await declined(tv, desk);
    note('declined: the citizen keeps number and place');
    await callWithoutCameras(tv, desk);
    note('nobody has a camera: the TV listens and shows the code, the desk is told what to do, then is heard');
    const phone = await phones(rest, server, tv, desk, captures);
    note('phone: wrong and used codes, permission refused, killed in the call; a new one is seen and heard');
    const back = await televisionGone(server, tv, phone, desk);
    note('TV closed in the call: phone and desk say so; opened again it is in the call');
    await end(back, phone, desk);
    server.env = { HEYI_QUEUE_RING: '3s', HEYI_QUEUE_OFFER_LEASE: '3s' };
    await server.kill();
    await server.start();
    await nobodyAnswers(back, desk);
    note('offer lapsed, ring unanswered twice, any key waits again with the same number; cancelling asks first');
    await revoked(server, back, device);
    note('revoked: the TV wipes its key and shows a new claim code');
    check(broken(tv, desk, phone, back).length === 0, `nothing broke in the pages: ${broken(tv, desk, phone, back)}`);
  } catch (e) {
    e.message += `${await pagesSay(box, rest)}\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

/** A wrong code, the right one, the right one again. Answers the enrolled device. */
async function claim(server, tv) {
  await waitText(tv, /这台电视还没登记/, LONG);
  const code = await claimCode(tv);
  const wrong = await (await server.api('operator'))('/claims?code=0000-0000').then(() => '', (e) => e.message);
  check(/404.*claim\.unknown_code/.test(wrong), `a wrong code is unknown: ${wrong}`);
  const { approve, device } = await server.enrol(code, '村活动室电视');
  await shows(tv, 'consult', LONG);
  const again = await approve().then(() => '', (e) => e.message);
  check(/409.*claim\.answered|410|404/.test(again), `one code enrols one device: ${again}`);
  return device;
}

async function signInFaults(b, server) {
  const page = await open(b, server, '/desk', { ...DESK, camera: false });
  await page.fill('input[name=login]', server.staff('mediator').login);
  for (let wrong = 1; ; wrong++) {
    check(wrong <= 6, 'the account is locked after five wrong passwords');
    await page.fill('input[name=password]', `falsch-${wrong}`);
    // the words of the try before stand there until this one is answered
    const answered = page.waitForResponse((r) => new URL(r.url()).pathname === '/api/v1/staff/login', { timeout: LONG });
    await page.click('button[type=submit]:not([disabled])', { timeout: LONG });
    const locked = (await answered).status() === 429;
    const said = await until('an answer to a wrong password', async () => (await text(page)).match(locked ? /试错次数太多/ : /账号或者密码不对/)?.[0], LONG);
    if (wrong === 1) check(/看看大小写，再试一次/.test(await text(page)), 'a wrong password says what to do');
    if (said === '试错次数太多') break;
    await until('the form can be sent again', async () => !(await page.locator('button[type=submit] .ant-btn-loading-icon').count()), LONG);
  }
  await waitText(page, /以后可以再试/);
  check(await page.locator('button[type=submit]').isDisabled(), 'a locked account cannot be tried');
  await page.context().close();
}

/** A computer without camera and microphone: the mediator learns it before anybody waits for him. */
async function noCameraAtAll(box, server) {
  const page = await signIn(box, server, '/desk', 'lawyer', { ...DESK, camera: false });
  await page.click('button:has-text("试试摄像头和话筒")', { timeout: LONG });
  await waitText(page, /没找到摄像头或者话筒/, LONG);
  check(/插上以后会自己接上/.test(await text(page)), 'a missing camera says what to do');
  await page.context().close();
}

async function twoWindows(server, tv, desk) {
  await waitText(desk, /我准备好了/, LONG);
  const desk2 = await another(desk, server, '/desk');
  await waitText(desk, /在另一个窗口打开了/, LONG);
  await desk.click('button:has-text("在这里继续")');
  await waitText(desk, /我准备好了/, LONG);
  await waitText(desk2, /在另一个窗口打开了/, LONG);
  await desk2.close();

  const tv2 = await another(tv, server, '/tv');
  await shows(tv2, 'consult', LONG);
  await waitText(tv, /在另一个窗口里打开了/, LONG);
  await shows(tv, 'retry');
  await tv.waitForTimeout(300);
  await press(tv, 'Enter'); // 在这里继续
  await shows(tv, 'consult', LONG);
  await waitText(tv2, /在另一个窗口里打开了/, LONG);
  await tv2.close();
}

async function declined(tv, desk) {
  await ready(desk);
  await askForLawyer(tv);
  const no = await number(tv);
  await waitText(desk, /来人了/, LONG);
  await desk.click('.offer button:has-text("不接")');
  await desk.click('.ant-dropdown-menu-item:has-text("手头有事")');
  await waitText(desk, /来人了/, LONG); // nobody else is on duty: the same person again
  check(await number(tv) === no && /下一个就是您/.test((await text(tv)).replace(/\s/g, '')), 'a declined offer is no step back');
}

/** The desk's permissions are refused and the TV has no camera: it hears, once the desk has sound, and asks for a phone. */
async function callWithoutCameras(tv, desk) {
  await take(desk);
  await shows(tv, 'take', LONG);
  check(/先听着也行/.test(await text(tv)), 'the ring says that listening is enough');
  await tv.waitForTimeout(600);
  await press(tv, 'Enter');
  await waitText(desk, /浏览器不让用摄像头和话筒/, LONG);
  check(/点地址栏左边的小锁/.test(await text(desk)), 'the desk says how to allow the camera');
  await waitText(tv, /先听着也行/, LONG);
  await waitText(tv, /现在没人听得到/, LONG);
  await tv.waitForSelector('.own.asks img', { timeout: LONG });
  await waitText(desk, /只能听，不能说/, LONG);
  await desk.context().grantPermissions(['camera', 'microphone']);
  await desk.click('.camcard button');
  await decodes(tv, 10, LONG);
  const { audioIn } = await media(tv);
  await until('the TV hears the desk', async () => (await media(tv)).audioIn > audioIn + 10, LONG);
}

/** Typing on the phone's start page. */
async function typeCode(phone, code) {
  await phone.fill('#code', code);
  await phone.click('form.code button[type=submit]');
}

async function phones(b, server, tv, desk, captures) {
  const first = await open(b, server, '/phone', { ...PHONE, camera: false });
  await typeCode(first, 'ZZZZ-ZZZZ');
  await waitText(first, /这个码不对，或者过时了/, LONG);
  check(/请看电视上的新码/.test(await text(first)), 'a wrong code says what to do');
  const link = await until('a capture link on the TV', () => captures.url);
  await typeCode(first, captures.code);
  await first.waitForSelector('button.huge', { timeout: LONG });
  await first.click('button.huge');
  await waitText(first, /摄像头和话筒没让用/, LONG);
  check(/选“允许”/.test(await text(first)), 'a refused camera says how to allow it');
  await first.context().grantPermissions(['camera', 'microphone']);
  await first.click('button:has-text("再开一次摄像头")');
  await decodes(desk, 10, LONG);
  await waitText(tv, /手机在拍/, LONG);
  await waitText(desk, /电视 \+ 手机/, LONG);

  const late = await open(b, server, new URL(link).pathname, PHONE);
  await waitText(late, /这个码已经用过了/, LONG);
  await late.context().close();

  captures.url = null;
  await first.context().close(); // the battery is empty
  await waitText(tv, /手机断了，别人听不到您/, LONG);
  await waitText(desk, /只能听，不能说/, LONG);
  await tv.waitForSelector('.own.lost img', { timeout: LONG });
  const second = await pairPhone(b, server, captures);
  await decodes(desk, 10, LONG);
  await waitText(tv, /手机在拍/, LONG);
  await waitText(second, /律师丁/, LONG);

  const twin = await another(second, server, '/phone'); // the same phone, opened once more
  await waitText(second, /这一页在别处打开了/, LONG);
  await decodes(desk, 10, LONG);
  await second.click('button:has-text("在这里继续")');
  await waitText(twin, /这一页在别处打开了/, LONG);
  await twin.close();
  await waitText(second, /律师丁/, LONG);
  await decodes(desk, 10, LONG);
  return second;
}

async function televisionGone(server, tv, phone, desk) {
  const again = await tv.context().newPage(); // keeps the profile alive, as a box keeps its storage
  await tv.close();
  await waitText(phone, /电视断了/, LONG);
  await waitText(desk, /只有手机|电视断了/, LONG);
  await again.close();
  const back = await another({ context: () => tv.context() }, server, '/tv');
  await decodes(back, 10, LONG);
  await until('the phone no longer misses the TV', async () => !/电视断了/.test(await text(phone)), LONG);
  await waitText(desk, /电视 \+ 手机/, LONG);
  return back;
}

/** The mediator ends, the TV skips the rating, the desk is ready for the next one. */
async function end(tv, phone, desk) {
  await desk.click('button:has-text("结束")');
  await desk.click('.ant-popconfirm-buttons .ant-btn-dangerous, .ant-popover .ant-btn-primary');
  await waitText(tv, /这次帮到您了吗/, LONG);
  await press(tv, 'Escape');
  await waitText(tv, /谢谢您/, LONG);
  await tv.waitForTimeout(500);
  await press(tv, 'Enter');
  await shows(tv, 'consult', LONG);
  await waitText(phone, /电视那边已经结束了|谈完了/, LONG);
  await wroteUp(desk);
  await waitText(desk, /现在没有通话/, LONG);
}

async function nobodyAnswers(tv, desk) {
  await until('the desk is back', async () => /现在没有人排队/.test(await text(desk)), LONG);
  await askForLawyer(tv);
  const no = await number(tv);
  await waitText(desk, /来人了/, LONG);
  await waitText(desk, /刚才那位没来得及接，又回去排队了/, LONG);
  check(await number(tv) === no, 'a lapsed offer is no step back');

  await take(desk);
  await shows(tv, 'take', LONG);
  await waitText(tv, /刚才没接到/, LONG); // two rings of three seconds
  check(/您的位置给您留着/.test(await text(tv)), 'a missed ring says that the place is kept');
  await until('the seat is free again', async () => /现在没有通话/.test(await text(desk)), LONG);
  await tv.waitForTimeout(500);
  await press(tv, 'Enter');
  await waitText(tv, /下一个|前面还有/, LONG);
  check(await number(tv) === no, `the same number waits again (${no})`);

  await shows(tv, 'cancel', LONG);
  await press(tv, 'ArrowRight', 'ArrowRight', 'Enter');
  await waitText(tv, /真的不问了吗/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter'); // 接着等 comes first
  await until('the question is gone', async () => !/真的不问了吗/.test(await text(tv)), LONG);
  check(await number(tv) === no, 'the first answer keeps the number');
  await press(tv, 'Enter');
  await waitText(tv, /真的不问了吗/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'ArrowRight', 'Enter');
  await until('the ticket is gone', async () => !/[A-Z] ?\d{3}/.test(await text(tv)), LONG);
  await shows(tv, 'consult', LONG);
}

/** A box that is revoked while somebody waits at it: the screen says so, and no mediator is called for nobody. */
async function revoked(server, tv, device) {
  const operator = await server.api('operator');
  await askForLawyer(tv);
  check((await operator('/console/queue')).rows.length === 1, 'somebody waits');
  await operator(`/devices/${device.id}/revoke`, { key: crypto.randomUUID(), reason: '机顶盒丢失' });
  await waitText(tv, /这台电视还没登记/, LONG);
  await claimCode(tv);
  await until('the line is empty', async () => (await operator('/console/queue')).rows.length === 0, LONG);
}
