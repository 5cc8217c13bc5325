// A village line: a relay between the browsers and the media port delays, loses and throttles packets in both
// directions, from a line that is merely poor to one that is dead for some seconds.
import { createSocket } from 'node:dgram';
import { Server, browser, broken, check, decodes, media, open, pagesSay, pause, until } from './lib.mjs';
import { TV, askForLawyer, press, ready, shows, signIn, text, waitText } from './steps.mjs';
import { takeOffer } from './walk.mjs';

export const name = 'badline: loss, delay, jitter, 1 Mbit/s, some seconds of nothing';

const poor = { delay: 80, jitter: 40, loss: 0.05, rate: 1_000_000 };
const awful = { delay: 150, jitter: 80, loss: 0.2, rate: 400_000 };
const dead = { delay: 0, jitter: 0, loss: 1, rate: Infinity };
const good = { delay: 0, jitter: 0, loss: 0, rate: Infinity };
const queueMS = 400; // what waits longer at a full line is dropped, as a modem does

/** Relays UDP to a port. `line` may be changed at any time; a fixed seed decides what is lost. */
class Relay {
  constructor(to) { this.to = to; this.line = good; this.seed = 1; this.clients = new Map(); this.passed = 0; this.lost = 0; }

  random() { this.seed = (this.seed * 1103515245 + 12345) % 2147483648; return this.seed / 2147483648; }

  async start() {
    this.front = createSocket('udp4');
    await new Promise((r) => this.front.bind(0, '127.0.0.1', r));
    this.port = this.front.address().port;
    this.front.on('message', (m, from) => {
      const key = `${from.address}:${from.port}`;
      let c = this.clients.get(key);
      if (!c) {
        c = { back: createSocket('udp4'), up: { free: 0 }, down: { free: 0 } };
        c.back.on('message', (b) => this.pass(c.down, b, () => this.front.send(b, from.port, from.address)));
        c.back.bind(0, '127.0.0.1');
        this.clients.set(key, c);
      }
      this.pass(c.up, m, () => c.back.send(m, this.to, '127.0.0.1'));
    });
    return this;
  }

  pass(way, m, send) {
    const { delay, jitter, loss, rate } = this.line;
    const now = performance.now();
    way.free = Math.max(way.free, now);
    if (this.random() < loss || way.free - now > queueMS) { this.lost++; return; }
    way.free += (m.length * 8000) / rate;
    this.passed++;
    setTimeout(() => { if (!this.over) send(); }, way.free - now + delay + this.random() * jitter);
  }

  close() { this.over = true; this.front.close(); for (const c of this.clients.values()) c.back.close(); }
}

/** Lets a page's media go to the relay instead of the server's port. */
const detour = ([from, to]) => {
  const real = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function f(d, ...rest) {
    return real.call(this, { type: d.type, sdp: d.sdp.replace(new RegExp(`(a=candidate:.*? udp \\d+ \\S+ )${from} `, 'g'), `$1${to} `) }, ...rest);
  };
};

const frames = async (...pages) => (await Promise.all(pages.map(media))).map((m) => m.decoded);

export async function run(note) {
  const server = await new Server().start();
  const relay = await new Relay(server.udp).start();
  const b = await browser({ camera: true });
  try {
    const desk = await signIn(b, server, '/desk', 'lawyer');
    await waitText(desk, /我准备好了/);
    await ready(desk);
    const ctx = { ...TV };
    const tv = await open(b, server, '/tv', ctx);
    for (const page of [tv, desk]) await page.evaluate(detour, [server.udp, relay.port]);
    await shows(tv, 'consult');
    relay.line = poor;
    await askForLawyer(tv);
    await takeOffer(desk);
    await shows(tv, 'take');
    await tv.waitForTimeout(600);
    await press(tv, 'Enter');
    await decodes(tv, 20, 30_000);
    await decodes(desk, 20, 30_000);
    check(relay.lost > 0 && relay.passed > 100, `the line goes through the relay: ${relay.passed} passed, ${relay.lost} lost`);
    note(`a call comes up with 5 % loss, 80 to 120 ms and 1 Mbit/s each way`);

    const start = await frames(tv, desk);
    await pause(10_000);
    const end = await frames(tv, desk);
    const rate = end.map((n, i) => (n - start[i]) / 10);
    check(rate.every((r) => r >= 5), `at least 5 of 10 frames a second arrive: ${rate}`); // the test profile sends 10
    note(`${rate.map((r) => r.toFixed(1)).join(' and ')} of 10 frames a second on TV and desk, ${(100 * relay.lost / (relay.lost + relay.passed)).toFixed(1)} % lost`);

    relay.line = awful;
    const heard = (await Promise.all([tv, desk].map(media))).map((m) => m.audioIn);
    await pause(6000);
    const hears = (await Promise.all([tv, desk].map(media))).map((m) => m.audioIn);
    check(hears.every((n, i) => n - heard[i] > 100), `at 20 % loss and 400 kbit/s the sound goes on: ${hears.map((n, i) => n - heard[i])} packets in 6 s`);
    check(!/正在重新连上/.test(await text(tv)), 'a bad line is no lost one');
    note('20 % loss, 400 kbit/s: the sound goes on');

    relay.line = dead;
    await waitText(tv, /网断了一下|网有点慢|正在重新连/);
    note('nothing at all: the TV says so');
    relay.line = good;
    const t0 = Date.now();
    await decodes(tv, 10);
    await decodes(desk, 10);
    note(`the line is back: frames both ways ${((Date.now() - t0) / 1000).toFixed(1)} s later`);
    await until('nobody was thrown out', async () => /现在：一起谈/.test((await text(tv)).replace(/\s/g, '')));
    const bad = broken(tv, desk);
    check(bad.length === 0, `no page broke:\n${bad.join('\n')}`);
  } catch (e) {
    e.message += `${await pagesSay(b)}\n--- server ---\n${server.tail(10)}`;
    throw e;
  } finally {
    await b.close(); relay.close(); await server.close();
  }
}
