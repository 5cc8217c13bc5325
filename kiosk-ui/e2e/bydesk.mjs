// The README's second walk, word for word, in real browsers: every act of the mediator is a click or a key on /desk, the
// TV has its keys only, phones are touched, texts are read on /demo/texts. Then the paper path of a family matter and a
// talk that fails, and on the way what goes wrong at a desk: a reload, kill -9 and a second window while a draft is being
// written, a wrong password, an invitation taken back, a number keyed wrongly three times. Nothing here speaks to the
// server by itself.
import { readFile } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { uncovered } from './axe.mjs';
import { A, B, choose, later, readOnPhone, readOnTv, signOnPhone, yesOnPhone, yesOnTv } from './dispute.mjs';
import { members, oneByte, resealed } from './forger.mjs';
import { LONG, hands } from './hands.mjs';
import { Server, another, broken, browser, check, open, pagesSay, until, watched } from './lib.mjs';
import { DESK, PHONE, TV, askForLawyer, press, ready, shows, signIn, take, text, waitText } from './steps.mjs';

export const name = 'bydesk: the README from the talk to the paper, the mediator by clicks; paper; a talk that fails; bad input at the desk';

const receipt = /R-\d{12}-\d{8}-\d{6}/;
const NOTICED = ['听了告知', '同意在线谈'];
const FACTS = '去年春天，甲把三十亩草场租给乙放牧，约好年底付租金 18,600 元，乙没有付。';

// LOOKS=folder keeps a picture of every state of the desk, to be looked at beside the design
const looks = process.env.LOOKS ?? '';
if (looks !== '') mkdirSync(looks, { recursive: true });

async function look(page, what) {
  await uncovered(page, what);
  await picture(page, what);
}

async function picture(page, what) {
  if (looks === '') return;
  await page.waitForTimeout(400); // transitions
  await page.screenshot({ path: join(looks, `${what}.png`) });
}

export async function run(note, only = [agreed, onPaper, failed]) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  try {
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    tv.context().setDefaultTimeout(LONG);
    const texts = await open(rest, server, '/demo/texts', PHONE);
    await shows(tv, 'consult', LONG);
    for (const story of only) await story({ server, rest, tv, texts, note });
    check(broken(tv, texts).length === 0, `TV and texts break nowhere: ${broken(tv, texts).join('; ')}`);
    return {};
  } catch (e) {
    e.message += await pagesSay(box, rest).catch(() => '');
    e.message += `\n--- server ---\n${server.tail(20)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

// ---- people's ways

/** Sign in, ready, the ticket, the ring, the talk; then the code that the TV shows large is typed on a phone. */
async function inTalk({ server, rest, tv }, role, kind) {
  const desk = await signIn(rest, server, '/desk', role);
  desk.setDefaultTimeout(LONG);
  await waitText(desk, /我准备好了/, LONG);
  await ready(desk);
  if (kind === 'consult') await askForLawyer(tv);
  else {
    await shows(tv, 'mediate', LONG);
    await press(tv, '2', 'Enter');
    await waitText(tv, /哪方面/, LONG);
    await press(tv, kind);
    await tv.waitForTimeout(450);
    await press(tv, 'Enter');
    await tv.waitForTimeout(450);
    await press(tv, 'Enter');
    await waitText(tv, /前面还有|下一个就是您/, LONG);
  }
  await take(desk, LONG);
  await shows(tv, 'take', LONG);
  await tv.waitForTimeout(600);
  await press(tv, 'Enter');
  if (kind !== 'consult') {
    await desk.waitForSelector('button:has-text("请进来核对")');
    await look(desk, 'desk-lobby');
    await desk.click('button:has-text("请进来核对")');
  }
  await waitText(desk, /接通 \d/, LONG);
  return { desk, h: hands(desk) };
}

/** 连手机 on the TV: the code stands there large, and is typed at /phone. */
async function pair({ server, rest, tv }) {
  await waitText(tv, /连手机/, LONG);
  const shown = tv.locator('.track .typed b');
  await until('the code stands there large', async () => {
    if (await shown.count() > 0) return true;
    if (await tv.locator('[data-f="done"]').count() === 0) await choose(tv, 'mute'); // the keys of a call fade: the first press brings them back
    return false;
  }, LONG, 700);
  const code = (await shown.innerText()).replace(/\s/g, '');
  const phone = await open(rest, server, '/phone', PHONE);
  phone.setDefaultTimeout(LONG);
  await phone.fill('#code', code);
  await phone.click('form.code button[type=submit]');
  await phone.click('button.huge:has-text("用这个手机当摄像头")');
  await until('the TV is back in the talk, its person is seen', async () => {
    const says = await text(tv);
    if (/手机在拍/.test(says) && !/照着按|扫左边|扫码/.test(says)) return true;
    if (await tv.locator('[data-f="done"]').count() > 0) { await tv.waitForTimeout(450); await choose(tv, 'done'); }
    return false;
  }, LONG, 300);
  return phone;
}

/** What makes a text with a link go out; it stands first on the demo phone then. */
async function linkSent(texts, act) {
  const before = await texts.locator('li a.open').count();
  await act();
  await until('the text with the new link', async () => await texts.locator('li a.open').count() > before, LONG);
}

/** The newest text to a number that fits, as it stands on the demo phone. */
async function textTo(texts, want) {
  return until(`a text like ${want}`, async () => {
    const all = await texts.locator('.bubble').allInnerTexts();
    return all.find((x) => want.test(x));
  }, LONG);
}
const sixDigits = async (texts, than = '') => until('six digits by text', async () => {
  const code = (await texts.locator('.bubble').first().innerText()).match(/\d{6}/)?.[0];
  return code !== than && code;
}, LONG);

/** 打开链接 on the demo phone: a page of its own, one button. */
async function comeIn(texts, look = async () => {}) {
  await textTo(texts, /打开链接/);
  const [phone] = await Promise.all([texts.context().waitForEvent('page'), texts.locator('li a.open').first().click()]);
  watched(phone);
  phone.setDefaultTimeout(LONG);
  await phone.waitForSelector('button.huge');
  await look(phone);
  await phone.click('button.huge');
  return phone;
}

const keyOn = async (page, code) => { for (const c of code) await page.click(`.dp-keypad button:text-is("${c}")`); };

async function endAndRate(tv, h, desk, ...pages) {
  await h.end();
  await until('the rating is asked', async () => {
    const says = await text(tv);
    if (/1 到 5/.test(says)) return true;
    if (/协议生效了|调解到这里/.test(says)) await press(tv, 'Enter');
    return false;
  }, LONG, 700);
  await press(tv, '5');
  await waitText(tv, /谢谢您/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await shows(tv, 'consult', LONG);
  await look(desk, `${new URL(desk.url()).pathname.slice(1)}-wrap`);
  await desk.click('button:has-text("写好了，先歇会儿")');
  await waitText(desk, /我准备好了/, LONG);
  check(broken(desk, ...pages).length === 0, `nothing breaks: ${broken(desk, ...pages).join('; ')}`);
  for (const p of [desk, ...pages]) await p.close();
}

// ---- the README's walk

export async function agreed(w) {
  const { server, tv, texts, note } = w;
  const { desk, h } = await inTalk(w, 'lawyer', 'consult');
  await look(desk, 'desk-talk');
  const phone = await pair(w);
  await waitText(desk, /电视 \+ 手机/, LONG);
  await look(desk, 'desk-talk-phone');

  // 2: registered; the TV is asked, nothing is focused on yes
  await h.register({ name: A.name, facts: FACTS, request: '付清草场租金 18,600 元' }, () => look(desk, 'desk-register'));
  await look(desk, 'desk-registered');
  await waitText(tv, /现在就调解吗/, LONG);
  check(await tv.evaluate(() => document.activeElement.dataset.f) !== 'yes', 'nothing is focused on yes');
  await yesOnTv(tv, h.did(A.name, ...NOTICED));
  check(await h.number() === '', 'no number before the dispute is accepted');
  await look(desk, 'desk-noticed');

  // 3: the other side
  await h.invite(B, () => look(desk, 'desk-invite'));
  await waitText(desk, /要等在场的人同意请他来/, LONG);
  await look(desk, 'desk-invited');
  await yesOnTv(tv, h.did(B.name, '短信发了'));
  await look(desk, 'desk-link');
  const other = await comeIn(texts);
  await yesOnPhone(other, h.did(B.name, ...NOTICED));
  await look(desk, 'desk-both');

  // 4: whether he is related to them
  await h.disclose();
  await yesOnTv(tv, h.did(A.name, '同意由您调解'));
  await yesOnPhone(other, h.did(B.name, '同意由您调解'));

  // 5: one at a time
  await h.call(A.name);
  await waitText(tv, /核对您的身份证/, LONG);
  await h.fill(A.name, A, () => look(desk, 'desk-check'));
  await h.pass(A.name);
  await h.call(B.name);
  await waitText(tv, /核对对方/, LONG);
  await waitText(other, /看您的证件|身份证/, LONG);
  await h.fill(B.name, B, () => look(desk, 'desk-check-other'));
  await h.phoneCode(B.name);
  await waitText(other, /短信里的六位数/, LONG);
  await keyOn(other, await sixDigits(texts));
  await waitText(desk, /手机号核对了/, LONG);
  await look(desk, 'desk-code-passed');
  await h.pass(B.name);

  // 6: nothing is missing
  await waitText(desk, /可以一起谈/, LONG);
  await look(desk, 'desk-ready');
  const number = await h.joint();
  await waitText(tv, /一起谈/, LONG);
  await waitText(other, /正在一起谈/, LONG);
  await look(desk, 'desk-joint');
  note(`together as ${number}`);

  // 7: the clauses; a vague word, mended; what happens to a draft that is not saved yet
  await draft(w, desk, h);
  const code = await h.freeze();
  await look(desk, 'desk-frozen');
  note(`frozen as ${code}, the draft outlived a reload, kill -9 and a second window`);

  // 8: read, keyed, signed; 看不懂 stands in the margin
  await puzzled(desk, other, h);
  await readOnTv(tv, code, (at) => picture(tv, `tv-${at}`));
  await picture(tv, 'tv-sign');
  await readOnPhone(other, code, (at) => picture(other, `phone-${at}`));
  await look(desk, 'desk-reading');
  await signOnPhone(other, () => picture(other, 'phone-sign'));
  await waitText(tv, new RegExp(`${B.name}\\s*\\d\\d:\\d\\d 已签`), LONG);
  await phone.waitForSelector('canvas.dp-pad', { timeout: LONG });
  await signOnPhone(phone);
  await waitText(tv, /您签好了/, LONG);

  // 9: the mediator; kill -9 right after
  await h.sign(server.staff('lawyer').password, () => look(desk, 'desk-sign'));
  await server.kill();
  await server.start();
  const no = await until('the receipt number at the desk', async () => (await text(desk)).match(receipt)?.[0], LONG);
  const last = await until('the last day at the desk', async () => (await text(desk)).match(/\d{4}年\d{1,2}月\d{1,2}日(?=以前，双方可以一起)/)?.[0], LONG);
  for (const p of [tv, other, phone]) for (const what of [no, number, last]) await waitText(p, what.replace(/[()]/g, '\\$&'), LONG);
  await waitText(desk, number.replace(/[()]/g, '\\$&'), LONG);
  await look(desk, 'desk-receipt');
  await picture(tv, 'tv-receipt');
  await picture(other, 'phone-receipt');
  note(`number, receipt ${no} and ${last} stand on TV, both phones and the desk`);

  // 10: the case, how it got there, the check of papers
  const pack = await console_(w, number, no);
  await papers(w, pack);
  await endAndRate(tv, h, desk, phone, other);
}

async function draft({ server }, desk, h) {
  await h.facts('去年春天，甲把三十亩草场租给乙放牧，约定年底付租金18,600元，乙没有付。');
  const pay = await h.clause('付钱');
  await look(desk, 'desk-clause-new');
  await pay.put('什么钱', '草场租金');
  await pay.put('多少钱', '18600');
  await pay.put('最晚哪天', later(30));
  await pay.put('怎么付', '现金，当面付清，收款人当场写收条');
  await pay.put('晚付怎么办', '尽快补付，另付违约金每天10元');
  await pay.none();
  await until('尽快 is noticed', async () => /“尽快”不清楚/.test(await pay.lint.allInnerTexts().then((x) => x.join())), LONG);
  await look(desk, 'desk-vague');
  check(await desk.locator('#dpanel .foot2 button').isDisabled(), 'a vague word stands in the way of the freeze');
  await pay.lint.locator('button:has-text("改成")').click();
  await until('the day stands there instead', async () => /^于\d{4}年\d{1,2}月\d{1,2}日前补付/.test(await pay.field('晚付怎么办').inputValue()));
  await h.saved();

  // a reload between two letters
  const todo = await h.clause('做一件事');
  await todo.put('做什么', '修好草场东面的围栏');
  await desk.reload();
  await waitText(desk, /第二条/, LONG);
  await h.saved();
  await desk.click('#dpanel .clause:has-text("修好草场东面的围栏") .ctitle');

  // kill -9 while the editor holds what is not saved
  await server.kill();
  await todo.put('怎么做', '材料由被申请人乙自己准备，修好后请申请人甲当面看过');
  await todo.put('最晚哪天', later(45));
  await waitText(desk, /没存上，正在一直试。写的都还在/, LONG);
  await look(desk, 'desk-unsaved');
  const back = lineUp(desk);
  await server.start();
  await h.saved();
  await back; // else its coming back would take the seat from the second window
  check(/当面看过/.test(await todo.field('怎么做').inputValue()), 'what was written while the server was away is there');

  // two windows of one desk write the same draft
  await desk.route('**/agreement', (r) => (r.request().method() === 'PUT' ? r.abort() : r.continue())); // this window's line is bad
  await todo.put('没做到怎么办', '逾期由申请人甲请人来修，费用由被申请人乙承担');
  const twin = await another(desk, server, '/desk');
  twin.setDefaultTimeout(LONG);
  await waitText(twin, /第二条/, LONG);
  await waitText(desk, /在另一个窗口打开了/, LONG);
  const th = hands(twin);
  await twin.click('#dpanel .clause:has-text("修好草场东面的围栏") .ctitle');
  await twin.locator('#dpanel .clause.open').waitFor();
  await twin.locator('#dpanel .clause.open label:has(> span:text-is("没做到怎么办")) textarea').fill('逾期按每日20元支付违约金');
  await th.saved();
  await twin.close();
  await desk.unroute('**/agreement');
  await desk.click('button:has-text("在这里继续")');
  await waitText(desk, /这份草稿在别处也改了/, LONG);
  await look(desk, 'desk-conflict');
  const clash = desk.locator('.clash');
  check(/费用由被申请人乙承担/.test(await clash.innerText()) && /每日20元/.test(await clash.innerText()), 'both texts are there to choose from');
  await clash.locator('button:has-text("就这样")').click(); // mine is chosen before
  await h.saved();
  if (await desk.locator('#dpanel .clause.open').count() === 0) await desk.click('#dpanel .clause:has-text("修好草场东面的围栏") .ctitle');
  check(/费用由被申请人乙承担/.test(await todo.field('没做到怎么办').inputValue()), 'the chosen one stands');
  await todo.none();
  await h.saved();
  await desk.click('button:has-text("看电视上的样子")');
  await look(desk, 'desk-preview');
  await desk.click('button:has-text("接着写")');
}

/** The page's next line to the server stands: a frame came on it. */
const lineUp = (page) => new Promise((ok) => {
  page.on('websocket', (ws) => { if (new URL(ws.url()).pathname === '/ws/v1') ws.once('framereceived', () => ok()); });
});

/** Somebody presses 这条看不懂. */
async function puzzled(desk, other, h) {
  await other.waitForSelector('.read-step', { timeout: LONG });
  await until('the page with the first clause', async () => {
    if (/草场租金/.test(await other.locator('.read-step .paper').innerText()) && /大写/.test(await other.locator('.read-step .paper').innerText())) return true;
    await other.locator('.read-step .big').click({ timeout: 2000 }).catch(() => undefined);
    return false;
  }, LONG, 300);
  await other.click('button:has-text("这条看不懂")');
  await waitText(desk, new RegExp(`${B.name}看不懂第 1 条`), LONG);
  await desk.click('#dpanel button:has-text("看条款")');
  await desk.locator('.pblock.puzzled').waitFor();
  check(/草场租金/.test(await desk.locator('.pblock.puzzled').innerText()), 'the margin names the clause');
  await look(desk, 'desk-puzzled');
  await other.click('button:has-text("调解员知道了")');
  await until('the margin is empty again', async () => await desk.locator('.pblock.puzzled').count() === 0, LONG);
  await desk.click('#dpanel button:has-text("收起条款")');
}

/** As yunwei: 案件, the papers, the package; 移交. Answers the package as the browser kept it. */
async function console_({ server, rest, note }, number, no) {
  const page = await signIn(rest, server, '/console', 'operator');
  page.setDefaultTimeout(LONG);
  await page.click('nav a:has-text("案件")');
  await page.click(`tbody tr:has-text("${no}") a.rowname`);
  await waitText(page, /盖章单位核对过/, LONG);
  for (const want of [number, no, '协议书', '证据']) check((await text(page)).includes(want), `the case page says ${want}`);
  await look(page, 'console-case');
  const [got] = await Promise.all([page.waitForEvent('download'), page.click('a:has-text("下载整包")')]);
  const pack = await readFile(await got.path());
  check(/\.tar$/.test(got.suggestedFilename()), `a package with a name: ${got.suggestedFilename()}`);
  await page.click('nav a:has-text("移交")');
  await page.waitForSelector(`tr:has-text("${no}") >> text=送到了`);
  await look(page, 'console-handoffs');
  check(broken(page).length === 0, `the console breaks nowhere: ${broken(page).join('; ')}`);
  await page.context().close();
  note(`case and hand-off in the console, package of ${members(pack).size} files kept`);
  return pack;
}

/** /verify: the package holds; one byte changed and a forged, sealed again one do not, in words for a clerk. */
async function papers({ server, rest, note }, pack) {
  const page = await open(rest, server, '/verify', { ...DESK, camera: false });
  page.setDefaultTimeout(LONG);
  const says = async (file, buffer, ...want) => {
    for (const drop of await page.locator('.chosen button').all()) await drop.click();
    await page.setInputFiles('input[type=file]', [{ name: file, mimeType: 'application/x-tar', buffer }]);
    await page.click('.go');
    await page.waitForSelector('.result');
    const said = await page.locator('.result').innerText();
    for (const re of want) check(re.test(said), `${file} says ${re}: ${said}`);
    await look(page, `verify-${file}`);
    return said;
  };
  await says('package.tar', pack, /都对得上/, /签发单位/, /核对码/);
  const pdf = [...members(pack).keys()].find((n) => /协议书\.pdf$/.test(n));
  await says('one-byte.tar', oneByte(pack, pdf), /有对不上的，先别用/, new RegExp(`${pdf}\\s*对不上`), /这份文件被改动过/);
  const said = await says('forged.tar', resealed(pack, '18,600', '10,600'), /有对不上的，先别用/, /不认识盖章的单位/);
  check(!/被改动过|印章对不上|断开/.test(said), `a forger who is careful is found out by his key alone: ${said}`);
  check(broken(page).length === 0, `the page breaks nowhere: ${broken(page).join('; ')}`);
  await page.context().close();
  note('the package holds; one changed byte and a forged, sealed again one fail in plain words');
}

// ---- a family matter: on paper

async function together(w, category) {
  const { tv, texts } = w;
  const { desk, h } = await inTalk(w, 'mediator', category);
  const phone = await pair(w);
  await h.register({ name: A.name, facts: FACTS, request: '付清草场租金 18,600 元' });
  await yesOnTv(tv, h.did(A.name, ...NOTICED));
  await linkSent(texts, async () => {
    await h.invite(B);
    await yesOnTv(tv, h.did(B.name, '短信发了'));
  });
  return { desk, h, phone };
}

async function checked({ tv, texts }, desk, h, other) {
  await h.disclose();
  await yesOnTv(tv, h.did(A.name, '同意由您调解'));
  await yesOnPhone(other, h.did(B.name, '同意由您调解', ...NOTICED));
  await h.call(A.name);
  await h.fill(A.name, A);
  await h.pass(A.name);
  await h.call(B.name);
  await h.fill(B.name, B);
}

export async function onPaper(w) {
  const { server, tv, texts, note } = w;
  const { desk, h, phone } = await together(w, '2');

  // the link is taken back: it opens nothing any more, and another is sent
  const [late] = await Promise.all([texts.context().waitForEvent('page'), texts.locator('li a.open').first().click()]);
  watched(late);
  await late.waitForSelector('button.huge', { timeout: LONG });
  await desk.click('.plink button:has-text("作废")');
  await desk.click('.ant-popconfirm:visible .ant-btn-primary');
  await until('the party is gone', async () => await desk.locator(`article[aria-label="${B.name}"]`).count() === 0, LONG);
  await late.click('button.huge');
  await waitText(late, /作废|过时|不能用|用不了/, LONG);
  await look(late, 'phone-revoked');
  await late.close();
  await linkSent(texts, async () => {
    await h.invite(B);
    await yesOnTv(tv, h.did(B.name, '短信发了'));
  });
  const other = await comeIn(texts);
  note('an invitation taken back opens nothing; the next one does');

  await checked(w, desk, h, other);
  // three wrong codes: said on both sides, and the way on
  await h.phoneCode(B.name);
  await waitText(other, /短信里的六位数/, LONG);
  const first = await sixDigits(texts);
  for (let i = 0; i < 3; i++) {
    await other.waitForSelector('.dp-keypad button:not([disabled])', { timeout: LONG });
    await keyOn(other, first === '000000' ? '000001' : '000000');
    if (i < 2) {
      await waitText(other, /短信里的数字不对/, LONG);
      await until('the boxes are empty again', async () => await other.locator('.dp-boxes .y').count() === 0);
    }
  }
  await waitText(desk, /三次都没输对，点“再发一次”/, LONG);
  await look(desk, 'desk-code-failed');
  await h.phoneCode(B.name);
  await other.waitForSelector('.dp-keypad button:not([disabled])', { timeout: LONG });
  await keyOn(other, await sixDigits(texts, first));
  await waitText(desk, /手机号核对了/, LONG);
  await h.pass(B.name);
  const number = await h.joint();
  note(`a code keyed wrongly three times is sent again; together as ${number}`);

  await h.facts('双方对抚养费的数目没有争议。');
  const pay = await h.clause('付钱');
  await pay.put('什么钱', '抚养费');
  await pay.put('多少钱', '12000');
  await pay.put('最晚哪天', later(30));
  await pay.put('怎么付', '现金，当面付清，收款人当场写收条');
  await pay.put('晚付怎么办', '每晚一天加付10元');
  await pay.none();
  await waitText(desk, /像是婚姻、收养、继承这类身份的事/, LONG); // 都不是 is not believed
  await look(desk, 'desk-tag-missing');
  await pay.lint.locator('button:has-text("标上")').click();
  await waitText(desk, /这份协议要在纸上签/, LONG);
  await h.saved();
  await look(desk, 'desk-draft-paper');
  const code = await h.freeze();
  await look(desk, 'desk-paper');
  await waitText(desk, /在纸上签/, LONG);
  const [print] = await Promise.all([desk.context().waitForEvent('page'), desk.click('a:has-text("打开来打印")')]);
  const pdf = await desk.evaluate(async (href) => (await (await fetch(href)).text()).slice(0, 5), await desk.locator('a:has-text("打开来打印")').getAttribute('href'));
  check(pdf === '%PDF-', 'the paper to print is a PDF');
  await print.close();
  await readAndKey(tv, other, code);
  await look(desk, 'desk-paper-read');

  const path = desk.locator('.paperpath');
  await path.locator('input[type=file]').setInputFiles([{ name: 'scan.txt', mimeType: 'text/plain', buffer: Buffer.from('x') }]);
  await waitText(desk, /只收 PDF、JPEG、PNG/, LONG);
  await path.locator('input[type=file]').setInputFiles([{ name: '扫描件.png', mimeType: 'image/png', buffer: await scan(desk) }]);
  const today = later(0);
  await path.locator('input[type=date]').fill(today);
  await path.locator('input[type=password]').fill('falsch');
  await path.locator('button:has-text("我证明")').click();
  await waitText(desk, /密码不对/, LONG);
  await look(desk, 'desk-paper-wrong');
  await path.locator('input[type=password]').fill(server.staff('mediator').password);
  await path.locator('button:has-text("我证明")').click();
  const no = await until('the receipt number at the desk', async () => (await text(desk)).match(receipt)?.[0], LONG);
  for (const p of [tv, other, phone]) for (const what of [no, number]) await waitText(p, what.replace(/[()]/g, '\\$&'), LONG);
  await look(desk, 'desk-paper-receipt');
  note(`a family matter printed, scanned and attested by clicks, ${no}`);
  await endAndRate(tv, h, desk, phone, other);
}

/** A page as it comes out of a scanner. */
const scan = async (page) => Buffer.from(await page.evaluate(async () => {
  const c = document.createElement('canvas');
  c.width = 620; c.height = 877;
  const x = c.getContext('2d');
  x.fillStyle = '#fff'; x.fillRect(0, 0, 620, 877);
  x.fillStyle = '#000'; x.font = '30px sans-serif'; x.fillText('signed by hand', 60, 400);
  return c.toDataURL('image/png').split(',')[1];
}), 'base64');

async function readAndKey(tv, other, code) {
  await waitText(tv, /请您核对协议/, LONG);
  for (let i = 0; i < 60 && /请您核对协议/.test(await text(tv)); i++) { await press(tv, 'ArrowDown'); await tv.waitForTimeout(450); }
  await waitText(tv, /请按一遍核对码/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, ...code);
  await waitText(tv, /在纸上签/, LONG);
  await other.waitForSelector('.read-step', { timeout: LONG });
  for (let i = 0; i < 60 && await other.locator('.read-step').count() > 0; i++) {
    await other.locator('.read-step .big').click({ timeout: 2000 }).catch(() => undefined);
    await other.waitForTimeout(250);
  }
  await other.waitForSelector('.dp-keypad', { timeout: LONG });
  await keyOn(other, code);
  await waitText(other, /在纸上签/, LONG);
}

/** kill -9, and up again with another setting. */
async function again(server, env) {
  await server.kill();
  server.env = env;
  await server.start();
}

/** Nobody opened the invitation in time: the phone and the desk say so, and the desk asks anew. */
async function overAndAgain({ server, tv, texts }, desk, h) {
  const [late] = await Promise.all([texts.context().waitForEvent('page'), texts.locator('li a.open').first().click()]);
  watched(late);
  await textTo(texts, /链接1分钟内有效/);
  await waitText(desk, /这个链接过时了/, LONG);
  await look(desk, 'desk-over');
  if (await late.locator('button.huge').count() > 0) await late.click('button.huge'); // opened in time, pressed too late
  await waitText(late, /过时/, LONG);
  await look(late, 'phone-over');
  await late.close();
  await again(server, {});
  await linkSent(texts, async () => {
    await desk.click('.plink button:has-text("重新请他")');
    const form = desk.locator('#dpanel form');
    check(await form.locator('input').first().inputValue() === B.name, 'the name is there already');
    await until('the field for the number has the focus', () => desk.evaluate(() => document.activeElement?.getAttribute('inputmode') === 'tel'));
    await desk.keyboard.type(B.phone);
    await desk.keyboard.press('Enter');
    await yesOnTv(tv, h.did(B.name, '短信发了'));
  });
  return comeIn(texts);
}

// ---- it fails: the other ways are read aloud before the end

export async function failed(w) {
  const { tv, texts, note } = w;
  await again(w.server, { HEYI_ROOM_INVITE: '40s' });
  const { desk, h, phone } = await together(w, '3');
  const other = await overAndAgain(w, desk, h);
  await checked(w, desk, h, other);
  await h.phoneCode(B.name);
  await waitText(other, /短信里的六位数/, LONG);
  await keyOn(other, await sixDigits(texts));
  await waitText(desk, /手机号核对了/, LONG);
  await h.pass(B.name);
  const number = await h.joint();
  check(/还没有结果，现在不能结束/.test(await h.endStop()), 'a talk without a result does not end');
  await h.close('差得太远，谈不拢', '乙只肯付一万元，甲要全部。', () => look(desk, 'desk-fail'));
  await waitText(desk, /还有这些路可以走/, LONG);
  await look(desk, 'desk-routes');
  const route = (await desk.locator('ol.routes li').first().innerText()).slice(0, 12);
  for (const p of [tv, other, phone]) await waitText(p, route, LONG);
  check(/念给各方听/.test(await h.endStop()), 'the session does not end before the other ways are told');
  await h.aloud();
  await waitText(desk, /已经告诉各方，可以结束了/, LONG);
  const no = await until('the receipt number at the desk', async () => (await text(desk)).match(receipt)?.[0], LONG);
  await look(desk, 'desk-failed');
  await waitText(tv, no, LONG);
  note(`an invitation that was over is sent anew; no agreement: ${number}, the other ways read aloud, ${no}`);
  await endAndRate(tv, h, desk, phone, other);
}
