// Draws what screenOf says: one screen, at most one layer above it.
import type { VNode } from 'preact';
import { useStore } from '../core/hooks.preact';
import type { TerminalStatus } from '../core/terminal';
import type { Situation } from '../core/types';
import { Home } from './home/home';
import { Lazy, type Loader, type Parts } from './lazy';
import { Alone, Starting } from './notice/notice';
import { screenOf, type Base, type Layer, type Local, type Screen } from './screen-of';
import type { Tv } from './tv';
import { TvContext } from './ui/screen';

export function App({ tv, loader }: { tv: Tv; loader: Loader }) {
  const s = useStore(tv.term.situation).value;
  const local = useStore(tv.local);
  const status = useStore(tv.term.status);
  const laid = useStore(tv.term.overlay);
  const screen = screenOf(s, local);
  return (
    <TvContext.Provider value={tv}>
      {early(screen, s) || (
        <Lazy key={screen.base} loader={loader} meanwhile={<Starting />} draw={(parts) => late(parts, screen.base, s, local, status)} />
      )}
      {screen.over && over(screen.over, screen.base, s, loader)}
      {laid && <Lazy key={laid.id} loader={loader} meanwhile={null} draw={(p) => <p.Laid o={laid} />} />}
    </TvContext.Provider>
  );
}

/** early draws what the first script holds; null leaves it to late. */
function early({ base, strip }: Screen, s: Situation | null): VNode | null {
  switch (base) {
    case 'starting':
      return <Starting />;
    case 'home':
      return s ? <Home s={s} strip={strip} /> : <Starting />;
    case 'nonet':
    case 'noserver':
    case 'disabled':
    case 'quarantined':
    case 'moved':
      return <Alone key={base} base={base} />;
  }
  return null;
}

function late(p: Parts, base: Base, s: Situation | null, local: Local, status: TerminalStatus): VNode {
  if (base === 'claim' && status.at === 'claim') return <p.Claim claim={status.claim} />;
  if (base === 'refused') return <p.Refused id={s ? s.device.id.slice(-8) : ''} />;
  if (base === 'unsupported') return <p.Unsupported why={status.at === 'unsupported' ? status.why : 'engine'} />;
  if (base === 'bye') return <p.Bye score={local.bye || 0} />;
  if (!s) return <Starting />;
  if (base === 'parked' && s.ticket) return <p.Parked ticket={s.ticket} since={status.since} />;
  if (base === 'category' || base === 'lang') {
    const step = local.layers.filter((l) => l.name === base).pop();
    if (step && step.name === 'category') return <p.Category kind={step.kind} />;
    if (step && step.name === 'lang') return <p.Language kind={step.kind} category={step.category} />;
  }
  if (base === 'matter') return <p.MatterScreen s={s} />;
  if (base === 'rating') return <p.Rating s={s} />;
  if (base === 'waiting' && s.ticket) return <p.Waiting s={s} ticket={s.ticket} />;
  if (base === 'ring' && s.ticket) return <p.Ringing s={s} ticket={s.ticket} />;
  if (base === 'call' && s.session) return <p.Call key={s.session.id} s={s} session={s.session} />;
  if (base === 'suspended' && s.session) return <p.Suspended session={s.session} />;
  return <Home s={s} strip={null} />;
}

function over(layer: Layer, base: Base, s: Situation | null, loader: Loader): VNode | null {
  const late = (draw: (p: Parts) => VNode): VNode => <Lazy key={layer.name} loader={loader} meanwhile={null} draw={draw} />;
  switch (layer.name) {
    case 'help': return late((p) => <p.Help base={base} />);
    case 'phone': return s && late((p) => <p.Phone s={s} />);
    case 'later': return late((p) => <p.Later />);
    case 'leave': return late((p) => <p.Leave />);
    case 'withdraw': return late((p) => <p.Withdraw />);
    case 'cancel': return late((p) => <p.Cancel />);
    case 'trouble': return late((p) => <p.Trouble layer={layer} />);
  }
  return null;
}
