// An installation of several nodes under TLS: the TV's pages come from one node, the desk's from another, the room
// stands on a third. kill -9 of the room's node, then a drain to a node that joined after the pages were loaded.
import { broken, browser, check, decodes, open, pagesSay, until } from './lib.mjs';
import { Installation, SECURE } from './nodes.mjs';
import { DESK, TV, askForLawyer, ready, shows, signIn, takeAndTime, text, waitText } from './steps.mjs';
import { takeOffer } from './walk.mjs';

export const name = 'cluster: pages of two nodes, a room on a third; kill -9 of its node, a drain to a new node';

const LONG = 30_000;

export async function run(note) {
  const house = await Installation.open({ HEYI_MEDIA_DRAIN_SETTLE: '1s' });
  const { nodes } = house;
  const node = (id, rooms) => house.node(id, rooms);
  const box = await browser({ more: SECURE });
  const rest = await browser({ more: SECURE });
  try {
    await node('f1', 0);
    await Promise.all([node('f2', 0), node('m1', 100), node('m2', 100)]);
    const desk = await signIn(rest, nodes.f2.page, '/desk', 'lawyer', DESK);
    await waitText(desk, /我准备好了/, LONG);
    const tv = await open(box, nodes.f1.page, '/tv', TV);
    await shows(tv, 'consult', LONG);
    const lines = mediaLines(tv, desk);
    await ready(desk);
    await askForLawyer(tv);
    await takeOffer(desk);
    const first = await takeAndTime(tv);
    await decodes(tv, 10, LONG);
    await decodes(desk, 10, LONG);
    const at = nodeOf(nodes, lines);
    check(at === 'm1' || at === 'm2', `the room is on ${at}`);
    note(`TV from f1, desk from f2, room on ${at}: OK to first decoded frame ${Math.round(first)} ms`);

    const to = at === 'm1' ? 'm2' : 'm1';
    const cut = Date.now();
    await nodes[at].kill();
    await Promise.all([backInCall(tv, cut), backInCall(desk, cut)]);
    const back = (Date.now() - cut) / 1000;
    check(nodeOf(nodes, lines) === to, `the room is on ${nodeOf(nodes, lines)}, not ${to}`);
    check(back <= 10, `frames both ways within 10 s of the kill (${back.toFixed(1)} s)`);
    note(`kill -9 of ${at}: frames both ways again after ${back.toFixed(1)} s, from ${to}`);

    // the dead node's name is gone; a new one joins, which the policies of the loaded pages do not know
    await node('m3', 100);
    const moved = Date.now();
    const gone = nodes[to].stop();
    await Promise.all([tv, desk].map((page) => until(`${new URL(page.url()).pathname} speaks to m3`, () => lines.get(page)?.startsWith(nodes.m3.socket), LONG)));
    await decodes(tv, 10, LONG);
    await decodes(desk, 10, LONG);
    await gone;
    await waitText(tv, /律师丁/, LONG);
    note(`drain of ${to} to m3, which the pages had never heard of: frames again after ${((Date.now() - moved) / 1000).toFixed(1)} s, by a reload`);

    // now every page knows m3 and m4: a drain is a change of connections, nothing else
    await node('m4', 100);
    await tv.reload();
    await desk.reload();
    await decodes(tv, 10, LONG);
    await decodes(desk, 10, LONG);
    await Promise.all([watchFreeze(tv), watchFreeze(desk)]);
    const leaves = nodes.m3.stop();
    await Promise.all([tv, desk].map((page) => until(`${new URL(page.url()).pathname} speaks to m4`, () => lines.get(page)?.startsWith(nodes.m4.socket), LONG)));
    await leaves;
    const frozen = await Promise.all([tv, desk].map((page) => page.evaluate(() => window.__freeze)));
    note(`drain of m3 to m4: longest time without a new frame ${frozen.map((f) => Math.round(f)).join(' ms on the TV, ')} ms on the desk`);
    check(frozen.every((f) => f < 5000), 'the picture stays'); // under 1 s on a quiet machine
    check(/律师丁/.test(await text(tv)), 'the TV is in the call');
    check(broken(tv, desk).length === 0, `nothing broke in the pages: ${broken(tv, desk)}`);
    return { cluster_back_s: Number(back.toFixed(1)), cluster_ok_ms: Math.round(first), cluster_drain_freeze_ms: Math.round(Math.max(...frozen)) };
  } catch (e) {
    e.message += `${await pagesSay(box, rest)}${house.tails()}`;
    throw e;
  } finally {
    await box.close(); await rest.close();
    await house.close();
  }
}

/** The address of each page's newest media line that was opened. */
function mediaLines(...pages) {
  const lines = new Map();
  for (const page of pages) page.on('websocket', (ws) => { if (ws.url().endsWith('/ws/rtc')) ws.once('framereceived', () => lines.set(page, ws.url())); });
  return lines;
}

/** The node on which all pages have their media lines. */
function nodeOf(nodes, lines) {
  const on = new Set([...lines.values()].map((url) => Object.keys(nodes).find((id) => url.startsWith(nodes[id].socket))));
  return on.size === 1 ? [...on][0] : [...on].join(' and ');
}

/** Frames of a connection that decoded none before the cut. */
async function backInCall(page, cut) {
  await page.evaluate(() => { window.__old = new Set(window.__peers); });
  await until('frames decode again', () => page.evaluate(async () => {
    for (const pc of window.__peers) {
      if (window.__old.has(pc) || pc.connectionState !== 'connected') continue;
      for (const s of (await pc.getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded > 2) return true;
    }
    return false;
  }), Math.max(100, 20_000 - (Date.now() - cut)), 50);
}

/** From now on: the longest time in ms in which no video of the page drew a new frame. */
const watchFreeze = (page) => page.evaluate(() => {
  window.__freeze = 0;
  let last = performance.now();
  const hear = (v) => {
    if (v.__heard || !v.requestVideoFrameCallback) return;
    v.__heard = true;
    const next = () => {
      if (v.srcObject && !v.muted) {
        const now = performance.now();
        window.__freeze = Math.max(window.__freeze, now - last);
        last = now;
      }
      v.requestVideoFrameCallback(next);
    };
    v.requestVideoFrameCallback(next);
  };
  setInterval(() => { for (const v of document.querySelectorAll('video')) hear(v); }, 50);
});
