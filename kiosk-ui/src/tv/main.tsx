// The TV page: wires terminal, keys, focus and voice, then draws.
import '../core/old';
import '../core/tokens.css';
import './tv.css';
import './home/home.css';
import './choose/choose.css';
import './waiting/waiting.css';
import './ring/ring.css';
import './call/call.css';
import './rating/rating.css';
import './notice/notice.css';
import './claim/claim.css';
import './help/help.css';
import './phone/phone.css';
import './dispute/dispute.css';
import { render } from 'preact';
import { createDpad } from '../core/dpad';
import { bindKeys } from '../core/keys';
import { createSpeaker } from '../core/speak';
import { openTerminal } from '../core/terminal';
import { App } from './app';
import { probeGraphics } from './gfx';
import { createLoader } from './lazy';
import { load, save } from './memory';
import { createTv, type Tv } from './tv';

const FINAL_MS = 400; // a press that ends, cancels or signs waits this long after a screen change

const root = document.getElementById('tv')!;
const voice = createSpeaker();
const now = (): number => performance.now();
let since = now();

const pad = createDpad(root, {
  edge: voice.tick,
  focused(el, byKey) {
    const say = el.getAttribute('data-say');
    if (byKey && say) voice.say(say);
  },
  ruled() { since = now(); },
});
const loader = createLoader((m) => tv.late(m));
const term = openTerminal({ kind: 'stb' });
const tv: Tv = createTv({
  term,
  voice,
  pad,
  history: window.history,
  memory: load(),
  remember: save,
  load: loader.load,
  exit: () => window.history.back(),
  online: () => navigator.onLine,
});
const graphics = probeGraphics(now);

window.addEventListener('popstate', tv.popped);
bindKeys(window, {
  screen: pad.screen,
  now,
  first: tv.key,
  move(dir) {
    graphics.moved();
    pad.move(dir);
  },
  ok() {
    const el = pad.current();
    if (el && !(el.hasAttribute('data-final') && now() - since < FINAL_MS)) el.click();
  },
  back: tv.back,
  digit(n) {
    if (n === 0) tv.help();
    else if (tv.screen().base === 'rating') tv.rate(n);
    else pad.jump(n);
  },
});
window.addEventListener('pointerdown', () => voice.unlock());

render(<App tv={tv} loader={loader} />, root);
