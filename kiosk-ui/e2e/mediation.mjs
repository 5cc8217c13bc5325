// A mediation from the first question to the receipt, on every screen that shows it: for the photographs, and for what
// is measured on pages.
import { A, B, join, mediator, proveNumber, readOnPhone, readOnTv, signOnPhone, yesOnPhone, yesOnTv } from './dispute.mjs';
import { open } from './lib.mjs';
import { DESK, PHONE, TV, pairPhone, press, ready, shows, signIn, take, waitText, watchCaptures } from './steps.mjs';

/** look(page, name) is called on every screen that is new on the way. */
export async function mediation({ server, box, rest, look }) {
  const desk = await signIn(rest, server, '/desk', 'mediator');
  await waitText(desk, /我准备好了/);
  const tv = await open(box, server, '/tv', { ...TV, camera: false });
  const captures = watchCaptures(tv);
  await shows(tv, 'consult');
  await press(tv, '2', 'Enter');
  await waitText(tv, /哪方面/);
  await press(tv, '3');
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await waitText(tv, /前面还有|下一个就是您/);
  const phone = await pairPhone(rest, server, captures);
  await ready(desk);
  await take(desk);
  await shows(tv, 'take');
  await tv.waitForTimeout(600);
  await press(tv, 'Enter');

  const m = await mediator(server, 'mediator');
  await m.register();
  await yesOnTv(tv, async () => (await m.side('A')).consents.online !== null, async (title) => look(tv, /权利/.test(title) ? 'tv-notice' : 'tv-consent'));
  await m.invite();
  await m.disclose();
  await yesOnTv(tv, async () => (await m.side('B')).link?.state === 'live' && (await m.side('A')).disclosure_ok !== null, async (title) => look(tv, /调解，|来调解/.test(title) ? 'tv-disclosure' : 'tv-invite'));
  const texts = await open(rest, server, '/demo/texts', PHONE);
  await waitText(texts, /打开链接/);
  await look(texts, 'demo-texts');
  const other = await join(rest, server, m, (p) => look(p, 'phone-join'));
  await yesOnPhone(other, async () => (await m.side('B')).disclosure_ok !== null && (await m.side('B')).consents.online !== null, async (title) => look(other, /权利/.test(title) ? 'phone-notice' : 'phone-consent'));
  for (const [side, who] of [['A', A], ['B', B]]) {
    await m.check(side);
    await desk.waitForTimeout(1500);
    if (side === 'A') { await look(desk, 'desk-check'); await look(tv, 'tv-check'); }
    else await look(other, 'phone-check');
    await m.person(side, who);
    if (side === 'B') await proveNumber(other, m, 'B');
    await m.identity(side, side === 'B' ? ['card', 'face', 'phone_code'] : ['card', 'face']);
  }
  await look(desk, 'desk-parties');
  await m.joint();
  await waitText(desk, /字第\d+号/);
  await look(tv, 'tv-joint');
  await look(other, 'phone-joint');
  await m.draft();
  await desk.waitForTimeout(1500);
  await look(desk, 'desk-draft');
  const { agreement } = await m.freeze();
  await readOnTv(tv, agreement.code, (what) => look(tv, `tv-${what === 'read' ? 'agree' : 'readback'}`));
  await look(tv, 'tv-sign');
  await readOnPhone(other, agreement.code, (what) => look(other, `phone-${what}`));
  await look(desk, 'desk-signing');
  await signOnPhone(other, () => look(other, 'phone-sign'));
  await phone.waitForSelector('canvas.dp-pad'); // read and keyed on the TV: only the field to sign in is left
  await signOnPhone(phone);
  await waitText(tv, /您签好了/);
  await look(tv, 'tv-signed');
  await m.sign();
  await waitText(tv, /R-\d/, 30_000);
  await look(tv, 'tv-receipt');
  await waitText(other, /R-\d/);
  await look(other, 'phone-receipt');
  await look(desk, 'desk-receipt');
  const check = await open(rest, server, `/verify?d=${agreement.digest}`, DESK);
  await waitText(check, /生效/);
  await look(check, 'verify');
  for (const p of [check, texts, other, phone, tv, desk]) await p.context().close();
}
