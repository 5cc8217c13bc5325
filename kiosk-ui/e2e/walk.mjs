// The whole first walk in real browsers, with the server killed twice (kill -9) on the way: a TV without a camera,
// the person's phone as its camera and microphone, the lawyer's desk.
import { Server, browser, open, media, decodes, pagesSay, until, check, pause } from './lib.mjs';
import { TV, askForLawyer, number, pairPhone, press, ready, shows, signIn, takeAndTime, text, waitText, watchCaptures } from './steps.mjs';

export const name = 'walk: TV as view, phone as its camera, desk; kill -9 while waiting, ringing and in the call';

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  try {
    const desk = await signIn(rest, server, '/desk', 'lawyer');
    await waitText(desk, /我准备好了/);
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    const captures = watchCaptures(tv);
    await shows(tv, 'consult');
    await askForLawyer(tv);
    const no = await number(tv);
    check(no, 'the TV shows a number');
    const phone = await pairPhone(rest, server, captures);
    await waitText(phone, /排队|等|轮到/);
    await until('the phone sees itself', () => phone.evaluate(() => [...document.querySelectorAll('video')].some((v) => v.videoWidth > 0)));
    await waitText(tv, /手机/);
    note(`waiting as ${no}, phone paired`);

    // kill -9 while waiting
    await server.kill();
    const down = Date.now();
    await server.start();
    await until('the ticket is still there', async () => (await server.api('dispatcher'))('/console/queue').then((q) => q.rows.some((r) => r.no === no)));
    check(await number(tv) === no, 'the TV still shows its number');
    await ready(desk);
    await takeOffer(desk);
    await shows(tv, 'take');
    check((await text(tv)).includes('律师丁'), 'the ring names the lawyer');
    note(`back after kill -9 while waiting, ringing ${((Date.now() - down) / 1000).toFixed(1)} s after the kill`);

    // kill -9 while ringing
    await server.kill();
    await server.start();
    const rang = Date.now();
    await shows(tv, 'take');
    await until('the desk is back', async () => /响铃/.test(await text(desk)));
    note(`still ringing after kill -9, both back in ${((Date.now() - rang) / 1000).toFixed(1)} s`);
    await pause(1500); // the prepared line comes up again, as it does while a person walks to the remote

    const first = await takeAndTime(tv);
    note(`OK to first decoded remote frame: ${Math.round(first)} ms`);
    await decodes(tv, 10);
    await decodes(desk, 10);
    await waitText(tv, /律师丁/);
    await waitText(phone, /律师丁/);
    await until('who can hear stands on the TV', async () => /谁能听到/.test(await text(tv)) && /律师丁/.test(await text(tv)));
    const cipher = (await media(tv)).ciphers;
    check(cipher.every((c) => /AES(128_CM|_CM_128)_HMAC_SHA1_80/.test(c)), `sub connections use AES-CM, never GCM (${cipher})`);
    check((await media(tv)).sent === 0, 'the TV sends nothing');
    check((await media(phone)).decoded === 0, 'the phone receives nothing');

    // kill -9 in the call
    await server.kill();
    const cut = Date.now();
    await server.start();
    await backInCall(tv, cut);
    await backInCall(desk, cut);
    const back = (Date.now() - cut) / 1000;
    check(back <= 10, `back in the call within 10 s of the kill (${back.toFixed(1)} s)`);
    note(`kill -9 in the call: frames both ways again after ${back.toFixed(1)} s`);

    // reload of TV, phone and desk returns to the call
    await tv.reload();
    await decodes(tv, 5);
    await phone.reload();
    await desk.reload();
    await decodes(desk, 5);
    note('reload of TV, phone and desk returns to the call');

    // only the mediator ends
    await desk.click('button:has-text("结束")');
    await desk.click('.ant-popconfirm-buttons .ant-btn-dangerous, .ant-popover .ant-btn-primary');
    await waitText(tv, /帮到您|1 到 5/);
    await press(tv, '5');
    await waitText(tv, /谢谢您/);
    const overview = await until('the rating is stored', async () => {
      const o = await (await server.api('dispatcher'))('/console/overview');
      return o.rated.count === 1 && o.rated.avg === 5 ? o : null;
    });
    check(overview.sessions.live === 0, 'no session is live');
    note('rating 5 stored');
    for (const p of [tv, phone, desk]) check(worst(p).length === 0, `no trouble in the browser: ${worst(p).join('; ')}`);
    return { ok_to_first_frame_ms: Math.round(first), back_in_call_s: Number(back.toFixed(1)) };
  } catch (e) {
    e.message += `${await pagesSay(box, rest)}\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

/** The desk takes the offer by F2. */
export async function takeOffer(desk) {
  await waitText(desk, /来人了/);
  await desk.keyboard.press('F2');
}

/** Frames of the time after the cut: the page has new connections that decode. */
async function backInCall(page, cut) {
  await until('frames decode again', async () => page.evaluate(async () => {
    for (const pc of window.__peers) {
      if (pc.connectionState !== 'connected') continue;
      window.__seen ??= new Map();
      for (const s of (await pc.getStats()).values()) {
        if (s.type !== 'inbound-rtp' || s.kind !== 'video') continue;
        const before = window.__seen.get(pc) ?? -1;
        if (before >= 0 && s.framesDecoded > before + 2) return true;
        if (before < 0) window.__seen.set(pc, s.framesDecoded);
      }
    }
    return false;
  }), Math.max(100, 15_000 - (Date.now() - cut)), 100);
}

/** Problems that no killed server explains. */
const worst = (page) => page.problems.filter((p) => !/ERR_CONNECTION_REFUSED|WebSocket connection|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET|net::ERR|40[19]|428|50[023]/.test(p)); // 428: the wish to sit down waits for the line to come back
