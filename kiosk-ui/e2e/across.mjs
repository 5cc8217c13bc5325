// The whole mediation over several nodes under TLS, on one PostgreSQL and one Redis: the citizen's TV, his phone and the
// other side's phone come to one node, the mediator's desk to another, the room stands on a third. Consult, dispute,
// joint talk, clauses, read-back, three signatures, seal, receipt on every screen, case page; kill -9 of the citizen's
// node before the second signature, and of the mediator's right after his.
import { broken, browser, check, open, pagesSay } from './lib.mjs';
import { Installation, SECURE } from './nodes.mjs';
import { electronic } from './signed.mjs';
import { TV, shows, watchCaptures } from './steps.mjs';

export const name = 'across: a mediation to its receipt with the citizen on one node, the mediator on another, the room on a third';

const LONG = 60_000;

export async function run(note) {
  const house = await Installation.open({}, { redis: true });
  const box = await browser({ camera: false, more: SECURE });
  const rest = await browser({ more: SECURE });
  try {
    const citizens = await house.node('f1', 0);
    const [desks] = await Promise.all([house.node('f2', 0), house.node('m1', 100)]);
    const tv = await open(box, citizens, '/tv', { ...TV, camera: false });
    const captures = watchCaptures(tv);
    tv.context().setDefaultTimeout(LONG);
    await shows(tv, 'consult', LONG);
    await electronic({ server: citizens, desk: desks, rest, tv, captures, note });
    check(broken(tv).length === 0, `the TV breaks nowhere: ${broken(tv).join('; ')}`);
    return {};
  } catch (e) {
    e.message += `${await pagesSay(box, rest).catch(() => '')}${house.tails(20)}`;
    throw e;
  } finally {
    await box.close(); await rest.close(); await house.close();
  }
}
