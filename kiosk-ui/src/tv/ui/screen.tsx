// What every screen is made of: the scope of the D-pad, the top line, the say-bar with the key hints, things to press.
import type { ComponentChildren } from 'preact';
import { createContext } from 'preact';
import { useContext, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { dayText, hourMinute } from '../../core/clock';
import type { Dir } from '../../core/keys';
import { useStore, useTick } from '../../core/hooks.preact';
import type { Tv } from '../tv';
import { t, type Key } from '../words';
import { Icon, icons } from './icons';

export const TvContext = createContext<Tv | null>(null);
export const useTv = (): Tv => useContext(TvContext)!;

interface ScreenProps {
  /** Name for the D-pad's memory. */
  name: string;
  /** Spoken and shown in the say-bar when the screen opens, and again when the line changes. */
  say: string;
  /** The line is only shown: the person reads, or people talk. */
  mute?: boolean;
  /** Title of the top line; without one the screen draws its own. */
  title?: string;
  place?: string;
  plain?: boolean;
  children?: ComponentChildren;
  keys?: [Key, Key][];
  /** Text of the key-hint line other than keys. */
  note?: string;
  class?: string;
}

/** Screen is one whole picture with its own focus. */
export function Screen(p: ScreenProps) {
  const tv = useTv();
  const ref = useRef<HTMLElement>(null);
  useLayoutEffect(() => tv.pad.enter(ref.current!, p.name), [p.name]);
  useEffect(() => (p.mute ? tv.caption : tv.say)(p.say), [p.name, p.say]);
  return (
    <main class={`scr ${p.plain ? 'plain ' : ''}${p.class || ''}`} ref={ref}>
      {!p.plain && <Hills />}
      {p.title !== undefined && <Top title={p.title} place={p.place || ''} />}
      {p.children}
      {p.keys && <Hint keys={p.keys} />}
    </main>
  );
}

/** Veil is a question or a sheet above a screen; the screen below keeps running and stays dimmed. */
export function Veil(p: { name: string; say: string; mute?: boolean; label: string; class?: string; children: ComponentChildren }) {
  const tv = useTv();
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => tv.pad.enter(ref.current!, p.name, 1), [p.name]);
  useEffect(() => {
    const before = tv.voice.said.get();
    (p.mute ? tv.caption : tv.say)(p.say);
    return () => tv.caption(before);
  }, [p.name]);
  return <div class={`veil ${p.class || ''}`} ref={ref} role="dialog" aria-modal="true" aria-label={p.label}>{p.children}{p.class !== 'full' && <div class="hint lone"><SayBar /></div>}</div>;
}

const Hills = () => (
  <svg class="hills" viewBox="0 0 1200 170" preserveAspectRatio="none" aria-hidden="true">
    <path class="far" d="M0 90C150 30 260 110 420 70S760 20 900 80s220-20 300 10v80H0z" />
    <path class="near" d="M0 125c200-45 330 25 560-15s420-20 640 20v40H0z" />
  </svg>
);

export function Top(p: { title: string; place: string }) {
  return (
    <header class="top">
      <div class="mark"><Icon d={icons.scale} /></div>
      <div><h1>{p.title}</h1><div class="place">{p.place}</div></div>
      <Clock />
    </header>
  );
}

/** Clock shows the server's time; after five idle minutes it moves a little every minute, so nothing burns in. */
function Clock() {
  const tv = useTv();
  useStore(tv.term.clock);
  useTick(1000);
  const now = tv.term.clock.nowUs();
  const adrift = tv.idleMs() > 5 * 60_000 && Math.floor(now / 60e6) % 2 === 1;
  return <div class={adrift ? 'clock adrift' : 'clock'}>{hourMinute(now)}<small><Net />{dayText(now)}</small></div>;
}

/** Net says in a dot and a word how the line is. */
export function Net() {
  const tv = useTv();
  useStore(tv.local);
  const line = tv.local.get().line;
  const [cls, word]: [string, Key] = line === 'up' ? ['', 'tv.net.good'] : line === 'wavering' ? ['weak', 'tv.net.wavering'] : ['off', 'tv.net.off'];
  return <><i class={`net ${cls}`} />{t(word)}　</>;
}

export function Hint(p: { keys: [Key, Key][] }) {
  return (
    <div class="hint">
      <SayBar />
      <div class="keys">{p.keys.map(([k, what]) => <span key={k}><span class="k">{t(k)}</span>{t(what)}</span>)}</div>
    </div>
  );
}

export function SayBar() {
  const tv = useTv();
  const said = useStore(tv.voice.said);
  return <div class="say" aria-live="polite"><Icon d={icons.speak} /><div>{said}</div></div>;
}

interface PressProps {
  id: string;
  onPress: () => void;
  class: string;
  children: ComponentChildren;
  digit?: number;
  first?: boolean;
  /** Ends, cancels or signs: dead for 400 ms after a screen change. */
  final?: boolean;
  /** Spoken when the focus comes here. */
  say?: string;
  label?: string;
  /** Takes an arrow for itself by returning true. */
  onArrow?: (dir: Dir) => boolean;
  disabled?: boolean;
  onFocus?: (on: boolean) => void;
}

/** Press is a target of the D-pad; a touch or a mouse presses it too. */
export function Press(p: PressProps) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const el = ref.current!;
    const take = p.onArrow;
    if (!take) return undefined;
    const f = (e: Event): void => { if (take((e as CustomEvent<Dir>).detail)) e.preventDefault(); };
    el.addEventListener('dpad', f);
    return () => el.removeEventListener('dpad', f);
  });
  return (
    <button
      ref={ref} type="button" class={`f ${p.class}`} data-f={p.id} data-k={p.digit} data-first={p.first || undefined}
      data-final={p.final || undefined} data-say={p.say} aria-label={p.label} disabled={p.disabled} onClick={p.onPress}
      onFocus={p.onFocus && (() => p.onFocus!(true))} onBlur={p.onFocus && (() => p.onFocus!(false))}
    >
      {p.children}
    </button>
  );
}

/** Button is a plain word to press. */
export const Button = (p: Omit<PressProps, 'class' | 'children'> & { word: string; icon?: string; class?: string }) => (
  <Press {...p} class={`btn ${p.icon ? '' : 'word '}${p.class || ''}`}>{p.icon && <Icon d={p.icon} />}{p.word}</Press>
);

/** Qr shows a code that the server drew, as a data: image; nothing of it can run. */
export function Qr(p: { svg: string; size: string; alt: string }) {
  const [src, setSrc] = useState('');
  useLayoutEffect(() => setSrc(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(p.svg)}`), [p.svg]);
  return <img class={`qrimg ${p.size}`} src={src || undefined} alt={p.alt} />;
}

/** spaced makes an 8-character code readable: ABCD 2345. */
export const spaced = (code: string): string => code.replace(/[\s-]/g, '').replace(/(.{4})(?=.)/g, '$1 ');
