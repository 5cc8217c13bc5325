// The mediator at his desk, as he works there: every act is a click or a key on /desk, and what he knows he reads there.
// Nothing here speaks to the server.
import * as lib from './lib.mjs';
import * as steps from './steps.mjs';

const { check } = lib;
export const LONG = 4 * lib.PATIENCE; // one machine runs the program and seven pages with pictures
const until = (what, f) => lib.until(what, f, LONG);
const waitText = (page, want) => steps.waitText(page, want, LONG);

/** A label of the page, an input by the words in front of it. */
const field = (at, words) => at.locator(`label:has(> span:text-is("${words}"))`).locator('input, textarea');

export function hands(desk) {
  const dialog = desk.locator('.ant-modal:visible');
  const card = (name) => desk.locator(`article[aria-label="${name}"]`);
  const tab = (name) => desk.locator(`.dtabs [role=tab]:has-text("${name}")`);
  const panel = desk.locator('#dpanel');
  const self = {
    tab: async (name) => { await tab(name).click(); await desk.waitForSelector(`.dtabs [role=tab][aria-selected=true]:has-text("${name}")`); },

    /** The steps that stand on a party's card. */
    chips: async (name) => (await card(name).locator('.tags').first().innerText({ timeout: 2000 })).replace(/\s+/g, ' '),
    did: (name, ...steps) => async () => { const c = await self.chips(name); return steps.every((s) => c.includes(s)); },
    number: async () => (await desk.locator('.dh .no').innerText()).match(/\(\d{4}\)\S+字第\d{6}号/)?.[0] ?? '',

    /** 转为调解 of a consult, 登记纠纷 of a ticket that was for mediation from the start. */
    async register({ name, facts, request, category = '' }, look = async () => {}) {
      await desk.click('button:has-text("转为调解"), button:has-text("登记纠纷")');
      await waitText(desk, /登记一件纠纷/);
      check(await dialog.locator('button:has-text("登记")').last().isDisabled(), 'nothing can be registered while something is missing');
      await field(dialog, '申请人叫什么').fill(name);
      if (category !== '') await pick(desk, '哪一类', category);
      await field(dialog, '争的是什么事').fill(facts);
      check(/至少写一条要求/.test(await dialog.innerText()), 'what is missing is said');
      await dialog.getByLabel('第 1 条要求').fill(request);
      await look();
      await dialog.locator('.ant-btn-primary').click();
      await waitText(desk, /还没受理，一起谈的时候给卷号/);
    },

    async invite({ name, phone }, look = async () => {}) {
      await panel.locator('button:has-text("请对方来")').click();
      const form = panel.locator('form');
      await field(form, '对方叫什么').fill(name);
      await field(form, '手机号').fill(phone.slice(0, 10));
      check(await form.locator('button:has-text("请他来")').isDisabled(), 'ten digits are no mobile number');
      await field(form, '手机号').fill(phone);
      await look();
      await desk.keyboard.press('Enter');
      await card(name).waitFor();
    },

    async disclose() {
      await panel.locator('button:has-text("告诉双方")').click();
      await waitText(desk, /已经告诉双方/);
    },

    /** 请…进来核对; who is alone with the mediator already, as the applicant is after his yes, needs no calling. */
    async call(name) {
      if (await card(name).locator('.check').count() === 0) await card(name).locator(`button:has-text("请${name}进来核对")`).click();
      await waitText(desk, new RegExp(`请${name}把身份证放到镜头前`));
    },

    /** The form of the identity check; wrong digits are refused before anything is sent. */
    async fill(name, who, look = async () => {}) {
      const at = card(name);
      await field(at, '身份证号').fill(`${who.id_no.slice(0, 17)}${who.id_no.endsWith('X') ? '1' : 'X'}`);
      await waitText(desk, /身份证号还不对/);
      check(await at.locator('button:has-text("核对无误")').isDisabled(), 'a wrong check digit is not passed');
      await field(at, '身份证号').fill(who.id_no);
      check((await field(at, '出生年').inputValue()) === String(who.birth_year), 'the year of birth follows from the number');
      check((await at.locator('.ant-select').first().innerText()).trim() === (Number(who.id_no[16]) % 2 === 1 ? '男' : '女'), 'so does the sex');
      await field(at, '民族').fill(who.ethnic);
      await field(at, '住址').fill(who.address);
      await field(at, '做什么的').fill(who.occupation);
      if (who.fresh) await field(at, '手机号').fill(who.phone);
      await at.locator('label:has-text("看清了身份证")').click();
      await at.locator('label:has-text("是同一个人")').click();
      await look();
    },
    phoneCode: (name) => card(name).locator('.code button').click(),
    async pass(name) {
      await card(name).locator('button:has-text("核对无误")').click();
      await until(`${name} is checked`, self.did(name, '身份核对了'));
    },

    async joint() {
      await panel.locator('.foot2 button:has-text("一起谈"):not([disabled])').click();
      await until('the number stands', self.number);
      return self.number();
    },

    /** 加一条, or the first of all. */
    async clause(kind) {
      if (await panel.locator('.first').count() > 0) await panel.locator(`.first button:has-text("${kind}")`).click();
      else {
        await panel.locator('button:has-text("加一条")').click();
        await desk.locator(`.ant-dropdown-menu-item:has-text("${kind}")`).click();
      }
      const open = panel.locator('.clause.open');
      await open.waitFor();
      return {
        put: (words, value) => field(open, words).fill(value),
        none: () => open.locator('label:has-text("都不是")').click(),
        lint: open.locator('.lint'),
        field: (words) => field(open, words),
      };
    },
    facts: (words) => panel.getByLabel('双方争的是什么事').fill(words),
    saved: () => until('the draft is saved', async () => /已保存|存好|自动保存/.test(await panel.locator('.agbar').innerText())),
    async freeze() {
      await until('it may be frozen', () => panel.locator('button:has-text("定稿，请各方看"):not([disabled])').count());
      await panel.locator('button:has-text("定稿，请各方看")').click();
      return until('the code of the frozen paper', async () => (await panel.locator('.codebox b').innerText()).match(/^\d{3} \d{3}$/)?.[0].replace(' ', ''));
    },

    /** 我来签: the password, the name by the mouse. */
    async sign(password, look = async () => {}) {
      await panel.locator('button:has-text("我来签"):not([disabled])').click();
      await dialog.waitFor();
      check(await dialog.locator('.ant-btn-primary').isDisabled(), 'without password and name nobody signs');
      await self.draw();
      await field(dialog, '再输一次密码').fill(`${password}x`);
      await dialog.locator('.ant-btn-primary').click();
      await waitText(desk, /密码不对，没有签/);
      await look();
      await field(dialog, '再输一次密码').fill(password);
      await dialog.locator('.ant-btn-primary').click();
      await dialog.waitFor({ state: 'hidden' });
    },
    async draw() {
      const pad = dialog.locator('.padbox canvas');
      await pad.hover(); // waits until the dialog stands still
      const box = await pad.boundingBox();
      const line = async (x, y, points) => {
        await desk.mouse.move(box.x + x, box.y + y);
        await desk.mouse.down();
        for (const [dx, dy] of points) await desk.mouse.move(box.x + x + dx, box.y + y + dy, { steps: 4 });
        await desk.mouse.up();
      };
      await line(80, 50, [[60, -10], [120, 0], [70, 60], [20, 90]]);
      await line(240, 40, [[0, 100], [80, 90], [80, 10], [10, 10]]);
      await line(380, 60, [[90, 0], [40, 10], [50, 80]]);
    },

    async close(why, reason, look = async () => {}) {
      await desk.click('.dh button:has-text("谈不成"), .dh button:has-text("不调了")');
      await waitText(desk, /这次没有谈成/);
      await dialog.locator(`label:has-text("${why}")`).click();
      check(await dialog.locator('.ant-btn-primary').isDisabled(), 'a failure without a reason is not recorded');
      await field(dialog, '说清楚是怎么回事').fill(reason);
      await look();
      await dialog.locator('.ant-btn-primary').click();
      await dialog.waitFor({ state: 'hidden' });
    },
    aloud: () => panel.locator('button:has-text("念完了")').click(),

    /** 结束: what stands in the way, '' when it may end. */
    async endStop() {
      await desk.click('.ctl button:has-text("结束")');
      const box = desk.locator('.ant-popconfirm:visible');
      await box.waitFor();
      const stopped = await box.locator('.ant-btn-dangerous').isDisabled();
      const words = stopped ? await box.locator('.endnote').innerText() : '';
      await box.locator('.ant-popconfirm-buttons button').first().click();
      await box.waitFor({ state: 'hidden' });
      return words;
    },
    async end() {
      await desk.click('.ctl button:has-text("结束")');
      await desk.locator('.ant-popconfirm:visible .ant-btn-dangerous:not([disabled])').click();
      await waitText(desk, /写好了/);
    },
  };
  return self;
}

/** One of an antd select's options, by its words. */
async function pick(desk, label, option) {
  await desk.locator(`.ant-select:has([aria-label="${label}"])`).click();
  await desk.locator(`.ant-select-dropdown:visible .ant-select-item-option[title="${option}"]`).click({ timeout: LONG });
}
