import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useStore, useTick } from '../core/hooks.preact';
import { hourMinute } from '../core/clock';
import type { DisputeView } from '../core/dispute';
import { createStore } from '../core/store';
import { Laid } from '../light/overlay';
import { coversAll, LineStrip, StatusScreen } from '../light/status';
import { Attract, Category, Kind, Language } from './ask';
import { CallScreen, RingScreen } from './call';
import { Cleared, IdleQuestion, Rating, Sure } from './end';
import { Foot, Head, Say } from './frame';
import { createIdle } from './idle';
import { asksBeforeEnd, idleRuns, type Scene, sceneOf } from './scene';
import { openCounter } from './counter';
import { err } from './t';
import { lineOf } from './lines';
import { WaitScreen } from './wait';

const none = createStore<DisputeView>({ d: null, proof: 'none', error: null });
const night = (hm: string) => hm >= '20:00' || hm < '06:00';

export function Kiosk() {
  const c = useMemo(() => openCounter(), []);
  const idle = useMemo(() => createIdle(() => { void c.wipe('idle'); }), [c]);
  useEffect(() => () => { idle.close(); c.close(); }, [c, idle]);

  const status = useStore(c.terminal.status);
  const s = useStore(c.situation);
  const steps = useStore(c.steps);
  const gone = useStore(c.gone);
  const own = useStore(c.dispute);
  const view = useStore<DisputeView>(own ? own.c : none);
  const asked = own !== null && own.late.stepOf(view) !== null;
  const [seen, setSeen] = useState(''); // the end of this dispute was looked at
  const over = own !== null && s !== null && !s.session && s.dispute !== null && s.dispute !== undefined && seen !== s.dispute.id;
  const left = useStore(idle);
  const error = useStore(c.error);
  const [low, setLow] = useState(false);
  const [big, setBig] = useState(false);
  const [sure, setSure] = useState(false);
  useTick(20000);

  const scene: Scene | null = s ? sceneOf(s, steps) : null;
  const before = useRef<Scene | null>(null);
  useEffect(() => {
    idle.run(gone === 'no' && scene !== null && idleRuns(scene));
    c.speaker.ring(scene === 'ringing');
    c.speaker.quiet(scene === 'call');
    setSure(false);
    // what a rating closes is over: the person is done, the next one finds nothing
    if (before.current === 'rating' && scene !== 'rating' && s && s.visit && !s.ticket && !s.session) void c.wipe('left');
    before.current = scene;
    if (scene === 'attract') {
      setLow(false);
      setBig(false);
    }
    window.scrollTo(0, 0);
  }, [scene, gone]);

  const line = scene && s ? lineOf(scene, s) : '';
  useEffect(() => { if (gone === 'no' && left === null) c.speaker.say(line); }, [line, gone, left === null]);

  useEffect(() => {
    document.documentElement.setAttribute('data-theme', night(hourMinute(c.terminal.clock.nowUs())) ? 'dark' : 'light');
  });
  useEffect(() => {
    const touch = () => {
      c.speaker.unlock();
      // the question is answered by the finished tap: gone at the finger's coming down, the tap would press what lies below
      if (idle.get() === null) idle.touch();
    };
    // no menu, no pinch, no drag: nothing leads out of the page
    const no = (e: Event) => e.preventDefault();
    document.addEventListener('pointerdown', touch, true);
    document.addEventListener('keydown', touch, true);
    document.addEventListener('contextmenu', no);
    document.addEventListener('dragstart', no);
    return () => {
      document.removeEventListener('pointerdown', touch, true);
      document.removeEventListener('keydown', touch, true);
      document.removeEventListener('contextmenu', no);
      document.removeEventListener('dragstart', no);
    };
  }, [c, idle]);

  const end = () => {
    if (scene && asksBeforeEnd(scene)) setSure(true);
    else void c.wipe('left');
  };

  if (gone !== 'no') return <Cleared c={c} done={gone === 'cleared'} />;
  if (!s || !scene || coversAll(status, true)) return <div class="kiosk"><StatusScreen terminal={c.terminal} /></div>;
  const visit = scene !== 'attract';
  return (
    <div class={`kiosk at-${scene}${low ? ' low' : ''}${big ? ' bigtext' : ''}`}>
      <Head c={c} s={s} />
      <LineStrip terminal={c.terminal} />
      <main>
        {scene === 'attract' && <Attract c={c} />}
        {scene === 'lang' && <Language c={c} />}
        {scene === 'kind' && <Kind c={c} s={s} />}
        {scene === 'category' && <Category c={c} />}
        {(scene === 'waiting' || scene === 'missed' || scene === 'parked') && <WaitScreen c={c} s={s} scene={scene} onCancel={() => setSure(true)} />}
        {scene === 'ringing' && <RingScreen c={c} s={s} />}
        {(scene === 'lobby' || scene === 'call' || scene === 'suspended' || scene === 'adjourned') && <CallScreen c={c} s={s} scene={scene} />}
        {over && scene === 'rating' && <div class="talk"><own.late.DisputePanel c={own.c} speaker={c.speaker} pen={false} nowUs={c.terminal.clock.nowUs} onOk={() => setSeen(s.dispute ? s.dispute.id : '')} /></div>}
        {scene === 'rating' && <Rating c={c} s={s} />}
        {error && scene !== 'attract' && <p class="error" role="alert"><b>{err(error.code).what}</b>{err(error.code).todo}。{err(error.code).call}。</p>}
      </main>
      {visit && scene !== 'call' && !asked && <Say text={line} onRead={() => c.speaker.say(line, true)} />}
      {visit && <Foot low={low} big={big} onLow={() => setLow(!low)} onBig={() => setBig(!big)} onEnd={end} />}
      {sure && <Sure scene={scene} onGo={() => setSure(false)} onEnd={() => { setSure(false); void c.wipe('left'); }} />}
      <Laid terminal={c.terminal} speaker={c.speaker} />
      {left !== null && <IdleQuestion c={c} left={left} onGo={() => idle.touch()} />}
    </div>
  );
}
