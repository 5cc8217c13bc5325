// Signed and delivered, in real browsers and with the real program: a consult becomes a mediation, the other side comes by
// the link of a text, everybody is checked, reads, keys the code and signs; the program is killed (kill -9) between the
// last steps. Then a family matter that the law keeps on paper, and a party who does not sign.
import { A, B, choose, mediator, readOnPhone, readOnTv, signOnPhone, yesOnPhone, yesOnTv } from './dispute.mjs';
import { Server, broken, browser, check, open, pagesSay, until } from './lib.mjs';
import { PHONE, TV, askForLawyer, pairPhone, press, ready, shows, signIn, take, text, waitText, watchCaptures } from './steps.mjs';

export const name = 'signed: consult, dispute, agreement, three signatures, seal, receipt; kill -9 between the last steps; paper; a refusal';

const LONG = 60_000; // one machine runs the program and five pages with pictures
const receipt = /R-\d{12}-\d{8}-\d{6}/;

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  try {
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    const captures = watchCaptures(tv);
    tv.context().setDefaultTimeout(LONG);
    await shows(tv, 'consult', LONG);
    await electronic({ server, rest, tv, captures, note });
    await onPaper({ server, rest, tv, captures, note });
    await refused({ server, rest, tv, captures, note });
    check(broken(tv).length === 0, `the TV breaks nowhere: ${broken(tv).join('; ')}`);
    return {};
  } catch (e) {
    e.message += await pagesSay(box, rest).catch(() => '');
    e.message += `\n--- server ---\n${server.tail(20)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

// ---- the shared way into a joint talk

/** The TV's person talks with a mediator, his phone is the camera. The mediator may sit at another node. */
async function inTalk({ server, desk: at = server, rest, tv, captures }, role, keys) {
  const desk = await signIn(rest, at, '/desk', role);
  await waitText(desk, /我准备好了/, LONG);
  captures.url = null;
  if (role === 'lawyer') await askForLawyer(tv);
  else {
    await shows(tv, 'mediate', LONG);
    await press(tv, '2', 'Enter');
    await waitText(tv, /哪方面/);
    await press(tv, keys);
    await tv.waitForTimeout(450);
    await press(tv, 'Enter');
    await tv.waitForTimeout(450);
    await press(tv, 'Enter');
    await waitText(tv, /前面还有|下一个就是您/);
  }
  const phone = await pairPhone(rest, server, captures);
  for (const p of [desk, phone]) p.context().setDefaultTimeout(LONG);
  await ready(desk);
  await take(desk, LONG);
  await shows(tv, 'take', LONG);
  await tv.waitForTimeout(600);
  await press(tv, 'Enter');
  return { desk, phone, m: await mediator(at, role) };
}

const answered = (m, s) => async () => {
  const p = await m.side(s);
  return p.notice_at !== null && p.consents.online !== null && p.disclosure_ok !== null;
};

/** From the registered dispute to the joint talk: asks, invitation, both checked; the number stands. */
async function together({ server, rest, tv, m, phone }) {
  await m.disclose();
  await yesOnTv(tv, answered(m, 'A'));
  await m.invite();
  check((await m.side('B')).link.state === 'inert', 'an invitation waits for the consent of those who are there');
  await yesOnTv(tv, async () => (await m.side('B')).link.state === 'live');
  const other = await comeIn(rest, server, m);
  await yesOnPhone(other, answered(m, 'B'));

  await m.check('A');
  await waitText(tv, /核对您的身份证/, LONG);
  await m.person('A', A);
  await keyPhoneCode(m, A, async (code) => { await waitText(tv, /短信里的六位数/, LONG); await tv.waitForTimeout(450); await press(tv, ...code); }, 'A');
  await m.identity('A', ['card', 'face', 'phone_code']);
  await m.check('B');
  await waitText(other, /看您的证件/, LONG);
  await waitText(tv, /核对对方/, LONG);
  await m.person('B', B);
  await keyPhoneCode(m, B, async (code) => { await other.waitForSelector('.dp-keypad', { timeout: LONG }); await keyOn(other, code); }, 'B');
  await m.identity('B', ['card', 'face', 'phone_code']);
  await m.joint();
  await waitText(tv, /一起谈/, LONG);
  await waitText(other, /正在一起谈/, LONG);
  const { number, state } = await m.get();
  check(/^\(\d{4}\).+调字第\d{6}号$/.test(number) && state === 'mediating', `the number is drawn at the joint talk: ${number}`);
  return { other, phone, number };
}

/** The invited side opens the link of its own text and presses the one button. */
async function comeIn(b, server, m) {
  const { url } = (await m.side('B')).link;
  const path = (link) => link && new URL(link).pathname; // the node that sends texts names its own address
  await until('the text with the link', async () => (await m.texts()).some((x) => path(x.link) === path(url)));
  const phone = await open(b, server, new URL(url).pathname, PHONE);
  phone.context().setDefaultTimeout(LONG);
  await phone.waitForSelector('button.huge', { timeout: LONG });
  check((await m.side('B')).link.state === 'live', 'opening the page spends nothing');
  await phone.click('button.huge');
  return phone;
}

/** The mediator sends six digits to a phone; its owner keys them where he sits. */
async function keyPhoneCode(m, who, key, side) {
  const before = (await m.texts()).length;
  await m.phoneCode(side);
  const sent = await until('the code was texted', async () => {
    const list = await m.texts();
    return list.slice(0, list.length - before).find((x) => x.to === who.phone && /\d{6}/.test(x.text));
  });
  await key(sent.text.match(/\d{6}/)[0]);
  await until('the code is taken', async () => (await m.side(side)).phone_code === 'passed', LONG);
}

const keyOn = async (page, code) => { for (const c of code) await page.click(`.dp-keypad button:text-is("${c}")`); };

/** The mediator ends the talk; the person rates; the visit is over. */
async function end(tv, m, desk, ...pages) {
  await m.wrapUp();
  await until('the rating is asked', async () => {
    const says = await text(tv);
    if (/按 1 到 5|1 到 5/.test(says)) return true;
    if (/协议生效了|调解到这里/.test(says)) await press(tv, 'Enter');
    return false;
  }, LONG, 700);
  await press(tv, '5');
  await waitText(tv, /谢谢您/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await shows(tv, 'consult', LONG);
  await desk.click('button:has-text("写好了，先歇会儿")'); // the seat is free for the next story
  await waitText(desk, /我准备好了/, LONG);
  for (const p of [desk, ...pages]) {
    check(broken(p).length === 0, `nothing breaks on ${new URL(p.url()).pathname.slice(0, 6)}: ${broken(p).join('; ')}`);
    await p.context().close();
  }
}

/** What the operators see of it. */
async function caseOf(server, rest, number, want) {
  const operator = await server.api('operator');
  const { rows } = await operator(`/cases?kind=dossier&q=${encodeURIComponent(number)}`);
  check(rows.length === 1 && receipt.test(rows[0].receipt_no), `one case with a receipt for ${number}`);
  const found = await operator(`/cases/${rows[0].id}`);
  check(found.versions.length === 1 && found.versions[0].seal.ok, 'one version, its seal holds');
  want(found);
  const page = await signIn(rest, server, '/console', 'operator');
  await waitText(page, /总览/, LONG);
  await page.goto(`${server.url}/console?view=cases&case=${found.id}`);
  await waitText(page, found.receipt_no, LONG);
  await page.context().close();
}

// ---- three stories

export async function electronic(w) {
  const { server, desk: seat = server, rest, tv, note } = w;
  const { desk, phone, m } = await inTalk(w, 'lawyer');
  await m.register();
  await waitText(tv, /现在就调解吗/, LONG);
  check(await tv.evaluate(() => document.activeElement.dataset.f) !== 'yes', 'nothing is focused on yes');
  await press(tv, 'Escape'); // back to the talk, the question waits
  await shows(tv, 'matter', LONG);
  await choose(tv, 'matter');
  await waitText(tv, /现在就调解吗/, LONG);
  await choose(tv, 'yes');
  const { other, number } = await together({ ...w, m, phone });
  note(`together as ${number}`);

  await m.draft();
  const { agreement } = await m.freeze();
  check(agreement.sign_mode === 'electronic', 'a pasture rent may be signed electronically');

  // one changed character on a screen: neither code nor field to sign
  await other.route('**/api/v1/dispute', async (route) => {
    const res = await route.fetch();
    const d = await res.json();
    if (d.agreement) d.agreement.blocks[d.agreement.blocks.length - 2].lines[0] += '。';
    await route.fulfill({ response: res, json: d });
  });
  await other.reload();
  await waitText(other, /先别签/, LONG);
  check(await other.locator('.dp-keypad, .read-step, canvas').count() === 0, 'a forged paper cannot be read on, keyed or signed');
  await other.unrouteAll({ behavior: 'wait' }); // an answer may be on its way through the forger
  await other.waitForSelector('.read-step', { timeout: LONG }); // the page looks again by itself

  await readOnTv(tv, agreement.code);
  check((await text(tv)).includes(`${agreement.code.slice(0, 3)} ${agreement.code.slice(3)}`), 'the code stands beside the QR');
  await wrongThrice(other, agreement.code);
  await readOnPhone(other, agreement.code);
  const spoken = (await other.locator('.codebig').innerText()).replace(' ', '');
  check(spoken === agreement.code, 'TV, phone and desk show one code');
  await signOnPhone(other);
  await waitText(tv, /被申请人乙\s*\d\d:\d\d 已签/, LONG);
  note('read and keyed on TV and phone, the other side has signed');

  await server.kill();
  await server.start();
  await phone.waitForSelector('canvas.dp-pad', { timeout: LONG }); // read and keyed on the TV: the field is left
  await signOnPhone(phone);
  await waitText(tv, /您签好了/, LONG);
  note('kill -9 before the second signature: both signatures stand');

  await m.sign();
  await seat.kill();
  await seat.start();
  const done = await until('effective, sealed and received', async () => {
    const d = await m.get();
    return d.agreement.state === 'effective' && d.handoff?.state === 'verified' ? d : null;
  }, LONG, 300);
  check(done.agreement.signed.length === 2 && done.agreement.mediator_signed_at !== null, 'three signatures');
  check(done.confirm_last_on !== null, 'the last day for confirmation is told');
  for (const p of [tv, other, phone]) {
    await waitText(p, done.handoff.receipt_no, LONG);
    await waitText(p, /最后一天是/, LONG);
  }
  note(`kill -9 right after the mediator's signature: sealed once, receipt ${done.handoff.receipt_no} on every screen`);

  const kept = await other.evaluate(async () => {
    const r = await fetch(document.querySelector('.dp a.file').href);
    return { ok: r.ok, head: (await r.text()).slice(0, 5) };
  });
  check(kept.ok && kept.head === '%PDF-', 'the phone can keep the paper');
  await caseOf(seat, rest, number, (c) => {
    check(c.closing_code === '1' || c.closing_code === '', `it ended in agreement (${c.closing_code})`);
    check(c.papers.some((p) => p.paper === 8), 'the agreement is among its papers');
  });
  await end(tv, m, desk, phone, other);
}

/** Three wrong codes call the mediator. */
async function wrongThrice(phone, right) {
  await phone.waitForSelector('.read-step', { timeout: LONG });
  for (let i = 0; i < 60 && await phone.locator('.read-step').count() > 0; i++) {
    await phone.locator('.read-step .big').click({ timeout: 2000 }).catch(() => undefined);
    await phone.waitForTimeout(250);
  }
  const wrong = right === '000000' ? '000001' : '000000';
  for (let i = 0; i < 3; i++) {
    await phone.waitForSelector('.dp-keypad button:not([disabled])', { timeout: LONG });
    await keyOn(phone, wrong);
    await waitText(phone, /按的码不对/, LONG);
    await until('the boxes are empty again', async () => await phone.locator('.dp-boxes .y').count() === 0);
  }
  await waitText(phone, /已经叫调解员/, LONG);
  await phone.locator('.dp-pair .mid').first().click(); // back to the clauses
}

async function onPaper(w) {
  const { server, tv, note } = w;
  const { desk, phone, m } = await inTalk(w, 'mediator', '2');
  await m.register('family');
  const { other, number } = await together({ ...w, m, phone });
  await m.draft();
  const { agreement, id } = await m.freeze();
  check(agreement.sign_mode === 'paper', 'a family matter is signed on paper');
  await readAndKey(tv, other, agreement.code);
  await waitText(tv, /在纸上签/, LONG);
  await waitText(other, /在纸上签/, LONG);
  const refused = await other.evaluate(async (digest) => {
    const { csrf } = await (await fetch('/api/v1/links/mine')).json();
    const mark = { w: 600, h: 200, strokes: [[10, 10, 0, 100, 80, 20, 200, 60, 50, 300, 90, 90]] };
    const r = await fetch('/api/v1/dispute/agreement/sign', { method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': csrf }, body: JSON.stringify({ key: crypto.randomUUID(), digest, mark }) });
    return (await r.json()).code;
  }, agreement.digest);
  check(refused === 'agreement.paper_required', `no drawn line on a family matter (${refused})`);

  const today = new Date(Date.now() + 8 * 3600_000).toISOString().slice(0, 10);
  const uploaded = await desk.evaluate(async ({ dispute, password, day }) => {
    const { csrf } = await (await fetch('/api/v1/staff/me')).json();
    const c = document.createElement('canvas');
    c.width = 620; c.height = 877;
    const x = c.getContext('2d');
    x.fillStyle = '#fff'; x.fillRect(0, 0, 620, 877);
    x.fillStyle = '#000'; x.font = '30px sans-serif'; x.fillText('signed by hand', 60, 400);
    const scan = await new Promise((ok) => c.toBlob(ok, 'image/png'));
    const f = new FormData();
    for (const [k, v] of Object.entries({ key: crypto.randomUUID(), password, signed_on: day })) f.set(k, v);
    f.set('scan', scan, 'scan.png');
    const r = await fetch(`/api/v1/disputes/${dispute}/agreement/paper`, { method: 'POST', headers: { 'x-csrf-token': csrf }, body: f });
    return r.ok ? '' : await r.text();
  }, { dispute: id, password: server.staff('mediator').password, day: today });
  check(uploaded === '', `the clerk attests the scan: ${uploaded}`);
  const done = await until('in force and received', async () => {
    const d = await m.get();
    return d.agreement.state === 'effective' && d.handoff?.receipt_no ? d : null;
  }, LONG, 300);
  for (const p of [tv, other, phone]) await waitText(p, done.handoff.receipt_no, LONG);
  await caseOf(server, w.rest, number, (c) => check(c.papers.some((p) => /扫描/.test(p.name)), `the scan is in the dossier: ${c.papers.map((p) => p.name)}`));
  note(`a family matter on paper, ${done.handoff.receipt_no}`);
  await end(tv, m, desk, phone, other);
}

/** Reads and keys on both screens where no field to sign follows. */
async function readAndKey(tv, other, code) {
  await waitText(tv, /请您核对协议/, LONG);
  for (let i = 0; i < 60 && /请您核对协议/.test(await text(tv)); i++) { await press(tv, 'ArrowDown'); await tv.waitForTimeout(450); }
  await waitText(tv, /请按一遍核对码/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, ...code);
  await other.waitForSelector('.read-step', { timeout: LONG });
  for (let i = 0; i < 60 && await other.locator('.read-step').count() > 0; i++) {
    await other.locator('.read-step .big').click({ timeout: 2000 }).catch(() => undefined);
    await other.waitForTimeout(250);
  }
  await other.waitForSelector('.dp-keypad', { timeout: LONG });
  await keyOn(other, code);
}

async function refused(w) {
  const { server, tv, note } = w;
  const { desk, phone, m } = await inTalk(w, 'mediator', '3');
  await m.register();
  const { other, number } = await together({ ...w, m, phone });
  await m.draft();
  const { agreement } = await m.freeze();
  await readOnPhone(other, agreement.code);
  await other.click('.dispute > .drop');
  await waitText(other, /不签这份协议了吗/, LONG);
  await other.click('.dp-sure .big'); // once more: he talks on
  await other.click('.dispute > .drop');
  await other.click('.dp-sure .mid');
  await waitText(other, /没有签，调解到这里/, LONG);
  const closed = await m.get();
  check(closed.state === 'terminated' && closed.closing.code === '7' && closed.closing.routes.length > 0, `code 7 with routes (${closed.state} ${closed.closing?.code})`);
  for (const p of [tv, other, phone]) await waitText(p, closed.closing.routes[0].text.slice(0, 12), LONG);
  await m.guide();
  const done = await until('the dossier is received', async () => {
    const d = await m.get();
    return d.handoff?.receipt_no ? d : null;
  }, LONG, 300);
  await waitText(tv, done.handoff.receipt_no, LONG);
  await caseOf(server, w.rest, number, (c) => {
    check(c.closing_code === '7', `the case says code 7 (${c.closing_code})`);
    check(c.papers.some((p) => p.paper === 12), 'the record of the failure is in the dossier');
  });
  note(`a party did not sign: code 7, routes on every screen, ${done.handoff.receipt_no}`);
  await end(tv, m, desk, phone, other);
}
