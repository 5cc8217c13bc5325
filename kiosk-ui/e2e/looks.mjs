// A whole mediation, looked at on every screen that is new on the way: clean, accessible, on the TV readable. It has a
// server of its own: a ticket that another test left in the line would ring first.
import { accessible, quiet, readable } from './axe.mjs';
import { Server, browser } from './lib.mjs';
import { mediation } from './mediation.mjs';

export const name = 'looks: a mediation from the first question to the receipt, every screen clean and accessible';

export async function run(note) {
  const server = await new Server().start();
  const box = await browser({ camera: false });
  const rest = await browser({ camera: true });
  let seen = 0;
  try {
    await mediation({
      server, box, rest, look: async (page, what) => {
        if (what.startsWith('tv-')) await readable(page, what);
        // the button 12348 stands at the foot of a phone whatever lies under it; at the end nothing does
        if (what.startsWith('phone-')) await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
        await accessible(page, what);
        quiet(page, what);
        seen++;
      },
    });
    note(`${seen} looks, none with a finding`);
    return {};
  } catch (e) {
    e.message += `\n--- server ---\n${server.tail(10)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await server.close();
  }
}
