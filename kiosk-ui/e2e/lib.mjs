// What the browser tests stand on: the real program on free ports with a data folder of its own, killed and started
// again by process id, and Chromium contexts whose peer connections can be asked for their figures.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, existsSync, createWriteStream } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const root = resolve(import.meta.dirname, '../..');
export const build = join(root, 'build');

const freePort = () => new Promise((ok, bad) => {
  const s = createServer();
  s.on('error', bad);
  s.listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => ok(port)); });
});
const freeUDP = () => new Promise((ok, bad) => {
  const s = createSocket('udp4');
  s.on('error', bad);
  s.bind(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => ok(port)); });
});

export const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** How long a test waits for what must come. What is quick on a quiet machine may take its time beside others; figures
 *  are measured in runs of their own. */
export const PATIENCE = 30_000;

/** Polls f until it gives a truthy value; fails with what after ms. */
export async function until(what, f, ms = PATIENCE, every = 50) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try { const v = await f(); if (v) return v; } catch (e) { last = e; }
    if (Date.now() > end) throw new Error(`timed out after ${ms} ms: ${what}${last ? ` (${last.message})` : ''}`);
    await pause(every);
  }
}

/** One node of the real program. start() after kill() uses the same ports and data. */
export class Server {
  constructor(env = {}) { this.env = env; this.data = mkdtempSync(join(tmpdir(), 'heyi-e2e-')); }

  async start() {
    this.port ??= await freePort();
    this.udp ??= await freeUDP();
    this.url = `http://127.0.0.1:${this.port}`;
    const log = createWriteStream(join(this.data, 'server.log'), { flags: 'a' });
    this.child = spawn(join(build, 'heyi'), ['serve', '--demo', '--data', this.data], {
      env: { ...process.env, HEYI_HTTP_LISTEN: `127.0.0.1:${this.port}`, HEYI_MEDIA_LISTEN_UDP: `127.0.0.1:${this.udp}`, HEYI_MEDIA_PROFILE: 'e2e', ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.pipe(log); this.child.stderr.pipe(log);
    this.gone = new Promise((r) => this.child.once('exit', r));
    await until('the server answers /readyz', async () => {
      if (this.child.exitCode !== null) throw new Error('the server ended:\n' + this.tail());
      return (await fetch(`${this.url}/readyz`)).ok;
    }, 30_000).catch((e) => { throw new Error(e.message + '\n' + this.tail()); });
    this.demo = JSON.parse(readFileSync(join(this.data, 'demo.json'), 'utf8'));
    return this;
  }

  staff(role) { return this.demo.staff.find((s) => s.role === role); }

  /** kill -9, by id. */
  async kill() { this.child.kill('SIGKILL'); await this.gone; }

  async stop() { if (this.child.exitCode === null && this.child.signalCode === null) { this.child.kill('SIGTERM'); await this.gone; } }

  tail(n = 40) {
    const f = join(this.data, 'server.log');
    return existsSync(f) ? readFileSync(f, 'utf8').split('\n').slice(-n).join('\n') : '';
  }

  /** An operator types the code of a claim screen and gives the terminal a place; answers what the program answered. */
  async enrol(code, name, unitName = '萨力巴乡') {
    const operator = await this.api('operator');
    const { claims } = await operator(`/claims?code=${code}`);
    const unit = (await operator('/units')).units.find((u) => u.name === unitName);
    const approve = () => operator(`/claims/${claims[0].id}/approve`, { key: randomUUID(), unit_id: unit.id, name, class: 'public' });
    return { operator, approve, device: await approve() };
  }

  async close() { await this.stop(); rmSync(this.data, { recursive: true, force: true }); }

  /** A signed-in staff member for REST calls. */
  async api(role) {
    const who = this.staff(role);
    if (!who) throw new Error(`the demo has nobody with the role ${role}`);
    const res = await fetch(`${this.url}/api/v1/staff/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ login: who.login, password: who.password }) });
    if (!res.ok) throw new Error(`sign-in as ${role}: ${res.status} ${await res.text()}`);
    const cookie = res.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ');
    const { csrf } = await res.json();
    return async (path, body, method = body ? 'POST' : 'GET', headers = {}) => {
      const r = await fetch(`${this.url}/api/v1${path}`, { method, headers: { cookie, 'x-csrf-token': csrf, ...headers, ...(body ? { 'content-type': 'application/json' } : {}) }, body: body && JSON.stringify(body) });
      if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${await r.text()}`);
      return r.status === 204 ? null : r.json();
    };
  }
}

const common = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--no-first-run',
  '--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required', '--disable-features=WebRtcHideLocalIpsWithMdns'];

/** Chromium with a fake camera and microphone, or (camera: false) with none at all, as on a TV box. With `asks` a page
 *  has only the permissions that its context was given; else every question is answered with yes. */
export function browser({ camera = true, asks = false, more = [] } = {}) {
  const args = !camera ? [...common, ...more] : [...common, ...more, '--use-fake-device-for-media-stream', ...(asks ? [] : ['--use-fake-ui-for-media-stream'])];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args });
}

/** Remembers every peer connection of a page, so that its figures can be read. */
const watchPeers = () => {
  const Real = window.RTCPeerConnection;
  window.__peers = [];
  window.RTCPeerConnection = class extends Real { constructor(...a) { super(...a); window.__peers.push(this); } };
};

/** A second window of the same browser profile: the same cookies, keys and device as `page`. */
export async function another(page, server, path) {
  const twin = await page.context().newPage();
  watch(twin);
  await twin.goto(server.url + path);
  return twin;
}

/** A page of its own context. problems collects console errors, page errors and requests to foreign hosts. */
export async function open(b, server, path, { width, height, camera = true, scale = 1, ...rest } = {}) {
  const ctx = await b.newContext({ viewport: { width, height }, deviceScaleFactor: scale, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', permissions: camera ? ['camera', 'microphone'] : [], ...rest });
  await ctx.addInitScript(watchPeers);
  const page = await ctx.newPage();
  watch(page);
  await page.goto(server.url + path);
  return page;
}

/** Watches a page that another one opened, as those of open are. */
export function watched(page) { watch(page); return page; }

function watch(page) {
  page.problems = [];
  page.on('pageerror', (e) => page.problems.push(`exception: ${e.message}`));
  page.on('console', (m) => { if (m.type() === 'error') page.problems.push(`console: ${m.text()} ${m.location().url ?? ''}`); });
  page.on('request', (r) => { const u = new URL(r.url()); if (/^(http|ws)/.test(u.protocol) && u.hostname !== '127.0.0.1') page.problems.push(`foreign host: ${u.host}`); });
}

/** What broke inside a page or left it for another host; a server that is gone on purpose is no such thing. */
export const broken = (...pages) => pages.flatMap((p) => p.problems).filter((p) => /^(exception|foreign host)/.test(p));

/** Sums what a page's live peer connections have decoded and sent. */
export const media = (page) => page.evaluate(async () => {
  const sum = { decoded: 0, audioIn: 0, sent: 0, ciphers: [], sizes: [] };
  for (const pc of window.__peers) {
    if (pc.connectionState === 'closed') continue;
    (await pc.getStats()).forEach((s) => {
      if (s.type === 'inbound-rtp' && s.kind === 'video') { sum.decoded += s.framesDecoded ?? 0; if (s.frameWidth) sum.sizes.push(`${s.frameWidth}x${s.frameHeight}`); }
      if (s.type === 'inbound-rtp' && s.kind === 'audio') sum.audioIn += s.packetsReceived ?? 0;
      if (s.type === 'outbound-rtp' && s.kind === 'video') sum.sent += s.framesSent ?? 0;
      if (s.type === 'transport' && s.srtpCipher) sum.ciphers.push(s.srtpCipher);
    });
  }
  return sum;
});

/** Waits until a page decodes at least n further frames from now on. */
export async function decodes(page, n, ms = PATIENCE) {
  const before = (await media(page)).decoded;
  return until(`${n} more decoded frames on ${new URL(page.url()).pathname}`, async () => {
    const m = await media(page);
    // after a reconnect the connections are new and count from zero
    return m.decoded >= before + n || (m.decoded < before && m.decoded >= n) ? m : null;
  }, ms);
}

/** What every open page says, for the report of a failure. */
export async function pagesSay(...browsers) {
  const lines = [];
  for (const page of browsers.flatMap((b) => b.contexts()).flatMap((c) => c.pages())) {
    const says = await page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ')).catch(() => '(gone)');
    lines.push(`${page.url()}: ${says.slice(0, 600)}${page.problems?.length ? `\n    ${page.problems.slice(-5).join('\n    ')}` : ''}`);
  }
  return `\n--- the pages say ---\n${lines.join('\n')}`;
}

export function check(ok, what) { if (!ok) throw new Error(`not so: ${what}`); }
