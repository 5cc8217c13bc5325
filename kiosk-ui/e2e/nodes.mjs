// An installation of several nodes under TLS on one PostgreSQL and, when wanted, one Redis, all of this run alone.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Server, build, check } from './lib.mjs';

/** Chromium takes the nodes' own certificates. */
export const SECURE = ['--ignore-certificate-errors'];

export class Installation {
  /** env: settings of every node; redis: one for all of them. */
  static async open(env = {}, { redis = false } = {}) {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // this process asks its own nodes on loopback only
    const own = new Installation();
    own.database = await postgres();
    own.env = {
      HEYI_MASTER_KEY: randomBytes(32).toString('base64'), HEYI_STORE_DRIVER: 'postgres', HEYI_STORE_DSN: own.database.url, HEYI_STORE_READERS: '16', HEYI_HTTP_TLS: 'true', ...env,
    };
    if (redis) {
      own.redis = await startRedis();
      Object.assign(own.env, { HEYI_COORD_DRIVER: 'redis', HEYI_COORD_URL: own.redis.url });
    }
    own.nodes = {};
    return own;
  }

  /** Starts a node that takes so many rooms; the demo's people are the same everywhere. */
  async node(id, rooms) {
    const n = new Node({ ...this.env, HEYI_NODE_NAME: id, HEYI_MEDIA_MAX_ROOMS: String(rooms) });
    const first = Object.values(this.nodes)[0];
    if (first) copyFileSync(join(first.data, 'demo.json'), join(n.data, 'demo.json'));
    this.nodes[id] = n;
    return n.start();
  }

  tails(lines = 15) { return Object.entries(this.nodes).map(([id, n]) => `\n--- ${id} ---\n${n.tail(lines)}`).join(''); }

  async close() {
    for (const n of Object.values(this.nodes)) { await n.kill().catch(() => undefined); await n.close(); }
    if (this.redis) await this.redis.stop();
    await this.database.stop();
  }
}

/** A node that others and pages reach by its own address. */
export class Node extends Server {
  async start() {
    this.port ??= await port();
    this.origin = `https://127.0.0.1:${this.port}`;
    this.socket = this.origin.replace('https', 'wss');
    this.env.HEYI_NODE_URL = this.origin;
    this.page = { url: this.origin, staff: (role) => this.staff(role) };
    await super.start();
    this.url = this.origin;
    return this;
  }

  async kill() { if (this.child && this.child.exitCode === null && this.child.signalCode === null) await super.kill(); }
}

const port = async () => {
  const { createServer } = await import('node:net');
  return new Promise((ok, bad) => {
    const s = createServer();
    s.on('error', bad);
    s.listen(0, '127.0.0.1', () => { const p = s.address().port; s.close(() => ok(p)); });
  });
};

/** An empty PostgreSQL that lives as long as this run. */
async function postgres() {
  const bin = join(build, 'pg');
  const made = spawnSync('go', ['build', '-o', bin, './store/storetest/pg'], { cwd: resolve(build, '..'), encoding: 'utf8' });
  check(made.status === 0, `pg is built: ${made.stderr}`);
  const child = spawn(bin, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise((r) => child.once('exit', r));
  const url = await new Promise((ok, bad) => {
    child.stdout.once('data', (b) => ok(String(b).trim()));
    child.once('exit', (code) => bad(new Error(`pg ended with ${code}`)));
  });
  return { url, stop: async () => { child.stdin.end(); await gone; } };
}

/** A Redis that keeps nothing. */
async function startRedis() {
  const at = await port();
  const dir = mkdtempSync(join(tmpdir(), 'heyi-redis-'));
  const child = spawn('redis-server', ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise((r) => child.once('exit', r));
  await new Promise((ok, bad) => {
    child.stdout.on('data', (b) => { if (/Ready to accept connections/.test(String(b))) ok(); });
    child.once('error', bad);
    child.once('exit', (code) => bad(new Error(`redis-server ended with ${code}`)));
  });
  return { url: `redis://127.0.0.1:${at}/0`, stop: async () => { child.kill('SIGTERM'); await gone; rmSync(dir, { recursive: true, force: true }); } };
}
