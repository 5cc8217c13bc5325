// The steps of a mediation: the mediator's by REST, as his desk sends them; the parties' as people take them, with the
// keys of the TV and the buttons of a phone.
import { randomUUID } from 'node:crypto';
import { PATIENCE, check, open, until } from './lib.mjs';
import { PHONE, press, text, waitText } from './steps.mjs';

export const A = { name: '申请人甲', id_no: '11010519491231002X', phone: '14900000001', sex: '男', ethnic: '蒙古族', birth_year: 1949, address: '赤峰市敖汉旗萨力巴乡', occupation: '牧民' };
export const B = { name: '被申请人乙', id_no: '110105199001011232', phone: '14900000002', sex: '女', ethnic: '汉族', birth_year: 1990, address: '赤峰市敖汉旗萨力巴乡', occupation: '务农' };

/** A mediator with a session in hand, and the dispute he makes of it. */
export async function mediator(server, role) {
  const call = await server.api(role);
  const who = server.staff(role);
  const key = () => randomUUID();
  let session, id;
  const at = (path) => `/disputes/${id}${path}`;
  const control = async (op, args = {}) => call(`/sessions/${session}/control`, { key: key(), op, args });
  const self = {
    get: () => call(at('')),
    async register(category = 'neighbours') {
      session = (await until('the mediator has a session', async () => (await call('/desk')).session)).id;
      const d = await call(`/sessions/${session}/dispute`, {
        key: key(), mediation_kind: 'people', category, applicant: { name: A.name }, facts: '去年春天，甲把三十亩草场租给乙放牧，约好年底付租金 18,600 元，乙没有付。', requests: ['付清草场租金 18,600 元'],
      });
      id = d.id;
      return d;
    },
    side: async (s) => (await self.get()).parties.find((p) => p.side === s),
    person: async (s, p) => call(at(`/parties/${(await self.side(s)).id}`), { key: key(), ...p }, 'PUT'),
    check: async (s) => control('check', { participant: (await self.side(s)).participant }),
    phoneCode: async (s) => call(at(`/parties/${(await self.side(s)).id}/phone-codes`), { key: key() }),
    identity: async (s, methods = ['card', 'face']) => call(at(`/parties/${(await self.side(s)).id}/identity`), { key: key(), methods, passed: true }),
    disclose: () => call(at('/disclosure'), { key: key(), text: '我和双方没有亲属或利害关系' }, 'PUT'),
    invite: () => call(at('/invites'), { key: key(), name: B.name, phone: B.phone, role: 'respondent', side: 'B' }),
    joint: () => control('joint'),
    async draft(clauses = null) {
      const d = await self.get();
      const [a, b] = [d.parties.find((p) => p.side === 'A').id, d.parties.find((p) => p.side === 'B').id];
      const none = { to: a, amount_fen: null, by: '', how: '', late: '', text: '', instalments: [], tags: [], tags_confirmed: true };
      const list = clauses ?? [
        { ...none, id: randomUUID(), kind: 'pay', who: b, what: '草场租金', amount_fen: 1_860_000, by: later(30), how: '现金，当面付清，收款人当场写收条', late: '逾期按每日万分之五支付违约金' },
        { ...none, id: randomUUID(), kind: 'do', who: b, what: '修好草场东面的围栏，材料由被申请人乙自己准备', by: later(45), how: '修好后请申请人甲当面看过', late: '逾期由申请人甲请人来修，费用由被申请人乙承担' },
        { ...none, id: randomUUID(), kind: 'free', who: b, what: '', text: '双方就这件事再没有别的争议。' },
      ];
      return call(at('/agreement'), { facts: '去年春天，甲把三十亩草场租给乙放牧，约定年底付租金18,600元，乙没有付。双方对欠租金的数目没有争议。', form: 'written', clauses: list }, 'PUT', { 'if-match': `"${d.agreement?.revision ?? 0}"` });
    },
    async freeze() {
      const { agreement } = await self.get();
      return call(at('/agreement/freeze'), { key: key(), revision: agreement.revision });
    },
    async sign() {
      const { agreement } = await self.get();
      const mark = { w: 600, h: 200, strokes: [[10, 10, 0, 100, 80, 20, 200, 60, 50, 300, 90, 90], [320, 20, 200, 400, 120, 250]] };
      return call(at('/agreement/sign'), { key: key(), digest: agreement.digest, password: who.password, mark });
    },
    close: (code, reason) => call(at('/close'), { key: key(), code, reason }),
    guide: () => call(at('/guidance'), { key: key(), how: 'read_aloud' }),
    wrapUp: async () => control('end'),
    texts: async () => (await call('/demo/texts')).rows,
  };
  return self;
}

/** The day so many days from now, as the country counts. */
export const later = (days) => new Date(Date.now() + 8 * 3600_000 + days * 86_400_000).toISOString().slice(0, 10);

const focus = (tv) => tv.evaluate(() => document.activeElement?.dataset?.f ?? '');
const stands = (page, css) => page.evaluate((s) => [...document.querySelectorAll(s)].some((e) => e.offsetParent !== null), css);

/** Takes the TV's focus to a button by arrows and presses OK. */
export async function choose(tv, id) {
  for (const way of ['ArrowRight', 'ArrowLeft']) for (let i = 0; i < 6 && (await focus(tv)) !== id; i++) await press(tv, way);
  check((await focus(tv)) === id, `the arrows reach ${id}`);
  await tv.waitForTimeout(450); // the dead time after a screen change
  await press(tv, 'Enter');
}

const ASKED = 6 * PATIENCE; // a notice in parts, consents one by one, each a press and an answer

/** Says yes to whatever the TV asks until `done`; seen(title) once for each question. */
export async function yesOnTv(tv, done, seen = async () => {}) {
  const known = new Set();
  await until('the TV has no more to ask', async () => {
    if (await done()) return true;
    const asks = (await stands(tv, '[data-f="yes"]')) ? 'yes' : (await stands(tv, '[data-f="prev"]')) ? 'next' : '';
    if (asks === '') return false;
    const title = (await text(tv)).split('\n')[0];
    if (!known.has(title)) { known.add(title); await seen(title); }
    await choose(tv, asks);
    await tv.waitForTimeout(500);
    return false;
  }, ASKED, 200);
}

/** The same on a phone. */
export async function yesOnPhone(phone, done, seen = async () => {}) {
  const known = new Set();
  await until('the phone has no more to ask', async () => {
    if (await done()) return true;
    const title = await phone.evaluate(() => document.querySelector('.ask-step h2')?.innerText ?? '');
    if (title === '') return false;
    if (!known.has(title)) { known.add(title); await seen(title); }
    await phone.locator('.ask-step .yes, .ask-step .big').first().click({ timeout: 2000 }).catch(() => undefined); // it may change under the finger
    return false;
  }, ASKED, 200);
}

/** The invited side comes: the link of its text, one button. */
export async function join(b, server, m, seen = async () => {}) {
  const { link } = await until('the text with the link', async () => (await m.texts()).find((t) => t.link.includes('/join/')));
  const phone = await open(b, server, new URL(link).pathname, PHONE);
  await phone.waitForSelector('button.huge');
  await seen(phone);
  await phone.click('button.huge');
  return phone;
}

/** Keys the six digits of the newest text on a phone; who comes by a link is only known by his number. */
export async function proveNumber(phone, m, side) {
  await m.phoneCode(side);
  await phone.waitForSelector('.dp-keypad');
  const code = await until('the text with six digits', async () => (await m.texts()).find((t) => t.link === '')?.text.match(/\d{6}/)?.[0]);
  for (const c of code) await phone.click(`.dp-keypad button:text-is("${c}")`);
  await until('the number is proved', async () => (await m.side(side)).phone_code === 'passed');
}

/** Reads every clause on the TV to its end and keys the code; on a phone the same by touch. */
export async function readOnTv(tv, code, seen = async () => {}) {
  await waitText(tv, /请您核对协议/);
  await seen('read');
  for (let i = 0; i < 60 && /请您核对协议/.test(await text(tv)); i++) { await press(tv, 'ArrowDown'); await tv.waitForTimeout(450); }
  await waitText(tv, /请按一遍核对码/);
  await tv.waitForTimeout(450);
  await press(tv, ...code.slice(0, 3));
  await seen('code');
  await press(tv, ...code.slice(3));
  await waitText(tv, /用手机签字|您的手机上已经能签/);
}

export async function readOnPhone(phone, code, seen = async () => {}) {
  await phone.waitForSelector('.read-step', { timeout: PATIENCE });
  await seen('read');
  for (let i = 0; i < 60 && (await stands(phone, '.read-step')); i++) { await phone.locator('.read-step .big').click({ timeout: 2000 }).catch(() => undefined); await phone.waitForTimeout(250); }
  await phone.waitForSelector('.dp-keypad');
  await seen('code');
  for (const c of code) await phone.click(`.dp-keypad button:text-is("${c}")`);
  await phone.waitForSelector('canvas.dp-pad');
}

/** Writes a name with the finger and hands it in. */
export async function signOnPhone(phone, seen = async () => {}) {
  const pad = phone.locator('canvas.dp-pad');
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  const line = async (x, y, step, n) => {
    await phone.mouse.move(box.x + x, box.y + y);
    await phone.mouse.down();
    for (let i = 0; i < n; i++) { const [dx, dy] = step(i); await phone.mouse.move(box.x + x + dx, box.y + y + dy); }
    await phone.mouse.up();
  };
  await line(40, 60, (i) => [i * 10, Math.sin(i) * 35], 20);
  await line(120, 30, (i) => [i, i * 9], 10);
  await seen('sign');
  await phone.locator('.dp .big').click();
  await waitText(phone, /您签好了|协议生效了/);
}
