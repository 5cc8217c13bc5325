// What a browser terminal tells the service: its inventory, that it started, what broke on its page. Written down in the
// browser and stored once, over a killed server and a reload. The operator reads it in the console.
import { Server, broken, browser, check, open, pause, until } from './lib.mjs';
import { TV, signIn, shows, waitText } from './steps.mjs';

export const name = 'journal: what a terminal reports arrives once, over a killed server and a reload';

const LONG = 30_000;

export async function run(note) {
  const server = await new Server({ HEYI_LINK_WANT_WITHIN: '500ms' }).start();
  const box = await browser({ camera: false });
  const rest = await browser();
  try {
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    await shows(tv, 'consult', LONG);
    let operator = await server.api('operator');
    const id = (await operator('/devices?kind=stb')).rows[0].id;
    const page = async () => operator(`/devices/${id}`);
    const kinds = async () => (await page()).reports.map((r) => r.kind).reverse();
    const first = await until('the inventory and the boot of the TV', async () => {
      const d = await page();
      return d.inventory && d.reports.length === 1 ? d : null;
    }, LONG);
    check(first.reports[0].kind === 'boot', 'it started');
    const doc = first.inventory.document;
    check(doc.tier === 'A' && doc.camera === false && doc.screen[0] === TV.width, `inventory ${JSON.stringify(doc)}`);
    note(`inventory: ${JSON.stringify(doc)}`);

    const fails = (text) => tv.evaluate((t) => { setTimeout(() => { throw new TypeError(t); }, 0); }, text);
    await fails('张三的电话');
    await until('the error is stored', async () => (await kinds()).length === 2);
    await server.kill();
    await fails('while nobody listens');
    await server.start();
    operator = await server.api('operator');
    await until('what broke meanwhile', async () => (await kinds()).length === 3, LONG);
    const late = tv.waitForResponse((r) => /\/journal-[^/]*\.js$/.test(r.url()));
    await tv.reload();
    await late; // the script comes a moment after the first screen
    await pause(1000);
    await fails('after a reload');
    await until('and after a reload', async () => (await kinds()).length === 4, LONG);
    const last = await page();
    check((await kinds()).join() === 'boot,page_error,page_error,page_error', `reports ${await kinds()}`);
    check(!JSON.stringify(last.reports).includes('张三'), 'no text of an error leaves the terminal');
    check(last.inventory.hash === first.inventory.hash, 'the inventory was sent once');
    const left = await tv.evaluate(() => localStorage.getItem('heyi.journal.stb'));
    check(JSON.parse(left).resume.up.seq === 5, `acked: ${left}`);
    note('three errors of the page, one while the server was dead: each stored once, none with its text');

    const desk = await signIn(rest, server, `/console?view=devices&device=${id}`, 'operator');
    await waitText(desk, /设备清单[\s\S]*画面等级\s*A[\s\S]*摄像头\s*没有/, LONG);
    await waitText(desk, /页面出错[\s\S]*设备自己[\s\S]*TypeError[\s\S]*启动了/, LONG);
    check(broken(desk).length === 0, `nothing broke in the console: ${broken(desk)}`);
    note('the console shows the inventory and the time line');
    return {};
  } catch (e) {
    e.message += `\n--- server ---\n${server.tail(30)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}
