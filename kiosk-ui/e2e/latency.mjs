// From OK on the ring to the first decoded remote frame on the TV, five calls one after another, nothing else running:
// a TV without a camera, the phone as its camera, the desk with a fake camera of the test profile. Run it on a quiet
// machine (`make bench-call`); the figure is printed, no test depends on it.
import { loadavg } from 'node:os';
import { Server, browser, check, decodes, open, until } from './lib.mjs';
import { TV, askForLawyer, pairPhone, press, ready, signIn, shows, takeAndTime, waitText, watchCaptures } from './steps.mjs';
import { takeOffer } from './walk.mjs';

export const name = 'latency: OK to the first decoded remote frame';
const calls = 5;

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  try {
    const desk = await signIn(rest, server, '/desk', 'lawyer');
    await waitText(desk, /我准备好了/);
    const took = [];
    const tv = await open(box, server, '/tv', { ...TV, camera: false });
    const captures = watchCaptures(tv);
    for (let i = 0; i < calls; i++) {
      await shows(tv, 'consult');
      await press(tv, '1');
      await askForLawyer(tv);
      const phone = await pairPhone(rest, server, captures);
      captures.url = null;
      await until('the phone sees itself', () => phone.evaluate(() => [...document.querySelectorAll('video')].some((v) => v.videoWidth > 0)));
      if (i === 0) await ready(desk);
      await takeOffer(desk);
      await shows(tv, 'take');
      await tv.waitForTimeout(2000); // a person looks up, finds the remote and presses
      took.push(Math.round(await takeAndTime(tv)));
      note(`call ${i + 1}: ${took.at(-1)} ms`);
      await decodes(desk, 3);
      await desk.click('button:has-text("结束")');
      await desk.click('.ant-popconfirm-buttons .ant-btn-dangerous, .ant-popover .ant-btn-primary');
      await waitText(tv, /帮到您/);
      await tv.waitForTimeout(600);
      await press(tv, '5');
      await waitText(tv, /谢谢您/);
      await tv.waitForTimeout(600);
      await press(tv, 'Enter');
      await desk.getByLabel('简短答复').fill('先带合同到镇司法所说一声。'); // nobody is let go without a word
      await desk.getByRole('button', { name: /下一位/ }).click();
      await phone.context().close();
    }
    took.sort((a, b) => a - b);
    const median = took[Math.floor(calls / 2)];
    check(took.length === calls, 'every call was measured');
    note(`median ${median} ms, load ${loadavg()[0].toFixed(1)}`);
    return { ok_to_first_frame_median_ms: median, ok_to_first_frame_max_ms: took.at(-1) };
  } catch (e) {
    e.message += `\n--- server ---\n${server.tail(10)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}
