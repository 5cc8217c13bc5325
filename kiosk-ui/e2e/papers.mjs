// What the back office sees: a consult's record leaves at wrap-up, arrives as a case, is found, opened and downloaded;
// the page that checks papers says of the package what is true, also after one byte of it was changed.
import { randomUUID } from 'node:crypto';
import { Server, broken, browser, check, open, pagesSay, until } from './lib.mjs';
import { DESK, PHONE, TV, askForLawyer, press, ready, shows, signIn, take, text, waitText } from './steps.mjs';

export const name = 'papers: a consult record arrives as a case; the check of papers holds and breaks where it should';

const LONG = 60_000;
const words = '草场合同到期了，可以要回来。先带合同和身份证，到镇司法所说一声。';

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  try {
    const receipt = await consult(server, box);
    note('the short answer stood on the TV, the record is written');
    const operator = await server.api('operator');
    const found = await until('the case', async () => (await operator(`/cases?q=${receipt ?? ''}`)).rows[0], LONG);
    const console_ = await signIn(box, server, '/console', 'operator', DESK, { camera: false });
    const id = await caseInConsole(server, console_, found);
    note('found by its receipt number, opened, handed over');
    await searchStaysPrivate(server, console_);

    const files = await download(server, id);
    await papersOnPage(server, box, files);
    note('the package holds; one byte changed is named');
    check(broken(console_).length === 0, `the console breaks nowhere: ${broken(console_).join('; ')}`);
    return {};
  } catch (e) {
    e.message += await pagesSay(box).catch(() => '');
    e.message += `\n--- server ---\n${server.tail(20)}`;
    throw e;
  } finally {
    await box.close(); await server.close();
  }
}

/** A consult from the first key to the written record. */
async function consult(server, box) {
  const desk = await signIn(box, server, '/desk', 'lawyer', DESK, { camera: false });
  await waitText(desk, /我准备好了/, LONG);
  const tv = await open(box, server, '/tv', { ...TV, camera: false });
  await shows(tv, 'consult', LONG);
  await askForLawyer(tv);
  await ready(desk);
  await take(desk, LONG);
  await shows(tv, 'take', LONG);
  await tv.waitForTimeout(600);
  await press(tv, 'Enter');
  const answer = desk.getByPlaceholder(/先去村委会/);
  await answer.fill(words, { timeout: LONG });
  await desk.click('button:has-text("发给对方")');
  await waitText(tv, /草场合同到期了/, LONG);

  const lawyer = await server.api('lawyer');
  const { session } = await lawyer('/desk');
  await lawyer(`/sessions/${session.id}/control`, { key: randomUUID(), op: 'end', args: {} });
  await lawyer(`/sessions/${session.id}/wrap-up`, { key: randomUUID(), outcome: 'served' });
  const operator = await server.api('operator');
  const sent = await until('the package is delivered', async () => (await operator('/handoffs')).rows.find((h) => h.subject === session.id && h.state === 'verified'), LONG);
  check(/^R-\d{12}-\d{8}-000001$/.test(sent.receipt_no) && sent.attempts === 1, `the first receipt of the day: ${sent.receipt_no}`);
  for (const p of [tv, desk]) {
    check(broken(p).length === 0, `nothing breaks: ${broken(p).join('; ')}`);
    await p.context().close();
  }
  return sent.receipt_no;
}

async function caseInConsole(server, page, found) {
  await waitText(page, /总览/, LONG);
  await page.click('nav a:has-text("案件")');
  await page.waitForSelector(`td:has-text("${found.receipt_no}")`);
  await page.fill('.search input', found.receipt_no);
  await page.keyboard.press('Enter');
  await until('the number stands in the address', () => page.url().includes(found.receipt_no));
  await page.click('tbody tr');
  await waitText(page, /盖章单位核对过/);
  check(/咨询记录\.pdf/.test(await text(page)), 'the record is among the files');
  await page.goto(`${server.url}/console?view=handoffs&state=verified`);
  await page.waitForSelector(`td:has-text("${found.receipt_no}")`);
  return found.id;
}

/** A name is looked for without leaving a trace in the address. */
async function searchStaysPrivate(server, page) {
  await page.goto(`${server.url}/console?view=cases`);
  await page.waitForSelector('.search input');
  await page.fill('.search input', '查无此人');
  await page.keyboard.press('Enter');
  await waitText(page, /没有这样的案件/);
  check(!decodeURIComponent(page.url()).includes('查无此人'), `no name in the address: ${page.url()}`);
  await page.reload();
  await waitText(page, /没有这样的案件/);
  check((await page.inputValue('.search input')) === '查无此人', 'a reload keeps the search');
}

async function download(server, id) {
  const who = server.staff('operator');
  const res = await fetch(`${server.url}/api/v1/staff/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ login: who.login, password: who.password }) });
  const cookie = res.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ');
  const get = async (path) => {
    const r = await fetch(`${server.url}/api/v1/cases/${id}${path}`, { headers: { cookie } });
    check(r.ok && /attachment/.test(r.headers.get('content-disposition')), `${path} is a download: ${r.status}`);
    return Buffer.from(await r.arrayBuffer());
  };
  const found = await (await fetch(`${server.url}/api/v1/cases/${id}`, { headers: { cookie } })).json();
  const pdf = found.papers.find((p) => p.media_type === 'application/pdf');
  return { pack: await get('/package?version=1'), pdf: await get(`/files/${pdf.digest}`) };
}

async function papersOnPage(server, box, { pack, pdf }) {
  const page = await open(box, server, '/verify', { ...PHONE, camera: false });
  await waitText(page, /下载这份名单/);
  const says = async (name, buffer, want) => {
    for (const drop of await page.locator('.chosen button').all()) await drop.click();
    await page.setInputFiles('input[type=file]', [{ name, mimeType: 'application/octet-stream', buffer }]);
    await page.click('.go');
    await page.waitForSelector('.result', { timeout: LONG });
    const result = await page.locator('.result').innerText();
    check(want.every((re) => re.test(result)), `${name}: ${result}`);
  };
  await says('卷宗.tar', pack, [/都对得上/, /签发单位/]);
  await says('咨询记录.pdf', pdf, [/有对不上的/, /请把移交包放进来/]); // alone it proves nothing: only papers of disputes are known one by one
  const forged = Buffer.from(pack);
  const at = forged.indexOf(pdf.subarray(200, 260)) + 20; // inside the PDF, wherever the package holds it
  check(at > 20, 'the package holds the record');
  forged[at] ^= 1;
  await says('改过的.tar', forged, [/有对不上的/, /咨询记录\.pdf\s*对不上/, /改动过/]);
  check(broken(page).length === 0, `the page breaks nowhere: ${broken(page).join('; ')}`);
}
