// What goes wrong behind the screens: the database takes no writes for a while, the server is away for 20 s. Nothing
// accepted is lost, everybody is told, and every screen finds its way back by itself.
import { spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Server, broken, browser, build, check, open, pagesSay, until } from './lib.mjs';
import { TV, number, pairPhone, press, ready, shows, signIn, take, text, waitText, watchCaptures } from './steps.mjs';

export const name = 'outages: the database takes no writes, the server is away for 20 s';

const LONG = 60_000;
const AWAY_MS = 20_000;

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser();
  const pages = [];
  try {
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    const captures = watchCaptures(tv);
    pages.push(tv);
    const operator = await server.api('operator');
    await until('the TV keeps its journal: its first start is over', async () => { // it dials once more for it
      const box = (await operator('/devices?kind=stb')).rows[0];
      return box && (await operator(`/devices/${box.id}`)).reports.some((r) => r.kind === 'boot');
    }, LONG);
    await database(server, tv);
    note('database held by another process: not ready, a ticket is refused in words, then everything works again');

    const no = await number(tv);
    const desk = await signIn(rest, server, '/desk', 'lawyer');
    await waitText(desk, /我准备好了/, LONG);
    const phone = await pairPhone(rest, server, captures);
    await waitText(phone, new RegExp(`您的号 ${no}`), LONG);
    pages.push(desk, phone);
    await away(server, tv, phone, desk, no);
    await waitText(phone, new RegExp(`您的号 ${no}`), LONG);
    check(!/正在重新连上/.test(await text(phone)), 'the phone is back');
    await ready(desk);
    await take(desk);
    await shows(tv, 'take', LONG);
    note(`server away for ${AWAY_MS / 1000} s: the TV keeps ${no}, all three come back by themselves and it rings`);
    check(broken(...pages).length === 0, `nothing broke in the pages: ${broken(...pages)}`);
  } catch (e) {
    e.message += `${await pagesSay(box, rest)}\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}

/** Another process takes the write lock of the database file, as a backup tool or a forgotten shell would. */
async function hold(file) {
  const bin = join(build, 'hold');
  const made = spawnSync('go', ['build', '-o', bin, './store/storetest/hold'], { cwd: resolve(build, '..'), encoding: 'utf8' });
  check(made.status === 0, `hold is built: ${made.stderr}`);
  const child = spawn(bin, [file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise((r) => child.once('exit', r));
  await new Promise((ok, bad) => {
    child.stdout.once('data', ok);
    child.once('exit', (code) => bad(new Error(`hold ended with ${code}`)));
  });
  return async () => { child.stdin.end(); await gone; };
}

async function database(server, tv) {
  await shows(tv, 'consult', LONG);
  const visit = tv.waitForResponse((r) => new URL(r.url()).pathname === '/api/v1/visits', { timeout: LONG });
  await press(tv, 'Enter');
  await visit; // from here on only the ticket is missing
  await waitText(tv, /哪方面/, LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await shows(tv, 'zh', LONG);
  const release = await hold(join(server.data, 'heyi.db'));
  try {
    await until('/readyz is 503', async () => {
      const r = await fetch(`${server.url}/readyz`);
      return r.status === 503 && /^store\./.test((await r.json()).status);
    }, LONG, 200);
    check((await fetch(`${server.url}/healthz`)).ok, 'the process itself is well');
    const answer = tv.waitForResponse((r) => new URL(r.url()).pathname === '/api/v1/tickets', { timeout: LONG });
    await press(tv, 'Enter');
    const refused = await answer;
    check(refused.status() === 503, `a ticket is refused with 503, not ${refused.status()}`);
    check(/problem\+json/.test(refused.headers()['content-type']) && refused.headers()['retry-after'], 'as a problem, with a time to come back');
    check(/^store\./.test((await refused.json()).code), 'the code names the store');
    await waitText(tv, /服务正在重启/, LONG);
    check(/请等一等，会自己好/.test(await text(tv)) && /12348/.test(await text(tv)), 'the TV says what to do');
  } finally {
    await release();
  }
  await until('/readyz is 200', async () => (await fetch(`${server.url}/readyz`)).ok, LONG, 200);
  await shows(tv, 'ok', LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter'); // 知道了
  await until('the language is asked again', async () => !/知道了/.test(await text(tv)), LONG);
  await tv.waitForTimeout(450);
  await press(tv, 'Enter');
  await waitText(tv, /前面还有|下一个/, LONG);
}

async function away(server, tv, phone, desk, no) {
  await server.stop();
  const since = Date.now();
  await waitText(tv, /网断了，您的号还在/, LONG);
  const says = await text(tv);
  check(says.includes(no) && /连上网接着排/.test(says), `the TV keeps the number ${no} in sight`);
  await waitText(phone, /正在重新连上/, LONG);
  await waitText(desk, /正在重新连上/, LONG);
  await until(`${AWAY_MS / 1000} s have passed`, () => Date.now() - since >= AWAY_MS, LONG);
  check(/网断了，您的号还在/.test(await text(tv)), 'the TV still says so');
  await server.start();
  await waitText(tv, /下一个|前面还有/, LONG);
  check(await number(tv) === no, `the same number waits again, not ${await number(tv)}`);
  await until('the desk is connected', async () => !/正在重新连上/.test(await text(desk)), LONG);
  await until('the phone is connected', async () => !/正在重新连上/.test(await text(phone)), LONG);
}
