// The picture that every step of a matter shares: title, sheet, the mediator small beside it, a row to press.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { useStore } from '../../core/hooks.preact';
import type { Situation } from '../../core/types';
import { initial } from '../ring/ring';
import { EMPTY, Sound, usePlayer } from '../call/call';
import { remotes, type Remote } from '../call/view';
import { Icon } from '../ui/icons';
import { Button, SayBar, Screen, useTv } from '../ui/screen';
import { t } from '../../light/dispute/t';
import type { Matter } from './matter';
import type { MyDispute, PartyAgreement } from '../../core/dispute';

export interface StepProps { m: Matter; d: MyDispute; s: Situation }
export interface PaperProps extends StepProps { a: PartyAgreement }

export const glyphs = {
  paper: 'M6.5 3h11A2.5 2.5 0 0 1 20 5.5v13a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 18.5v-13A2.5 2.5 0 0 1 6.5 3zM8 8h8M8 12h8M8 16h5',
  pen: 'M4 20l1-5L16.5 3.5l4 4L9 19zM14 6l4 4M12 20.5h8',
  down: 'M12 4v15M5.5 12.5L12 19l6.5-6.5',
  seal: 'M9.5 13c0-3-2-4-2-6.5a4.5 4.5 0 0 1 9 0c0 2.5-2 3.5-2 6.5M5 13h14v4H5zM6 20.5h12',
  exit: 'M14 4H5v16h9M10 12h11M17.5 8.5L21 12l-3.5 3.5',
};

/** A key of the remote and what it does here. */
export type Hint = 'ok' | 'digits' | 'turn' | 'back' | 'close';

interface FrameProps {
  name: string;
  say: string;
  mute?: boolean;
  icon: string;
  title: string;
  place: string;
  /** Top right: a large and a small word. */
  right?: [string, string];
  children: ComponentChildren;
  row: ComponentChildren;
  /** How many columns the row has. */
  cols: string;
  keys: Hint[];
  class?: string;
}

export function Frame(p: FrameProps) {
  return (
    <Screen name={p.name} say={p.say} mute={p.mute === true} plain class={`matter ${p.class || ''}`}>
      <header class="top">
        <div class="mark"><Icon d={p.icon} /></div>
        <div><h1>{p.title}</h1><div class="place">{p.place}</div></div>
        {p.right && <div class="clock">{p.right[0]}<small>{p.right[1]}</small></div>}
      </header>
      {p.children}
      <div class={`m-row ${p.cols}`}>{p.row}</div>
      <div class="hint"><SayBar /><div class="keys">{p.keys.map((k) => <span key={k}><span class="k">{t(`key.${k}`)}</span>{t(`key.${k}.do`)}</span>)}</div></div>
    </Screen>
  );
}

/** Column beside the sheet: who presides, heard and seen while the talk goes on, and a few words below. */
export function Column(p: { s: Situation; name: string; children: ComponentChildren }) {
  return <div class="m-col"><Face s={p.s} name={p.name} /><div class="m-who">{p.children}</div></div>;
}

function Face({ s, name }: { s: Situation; name: string }) {
  const tv = useTv();
  const line = useStore(tv.line);
  const volume = useStore(tv.volume);
  const v = s.session ? line.room || EMPTY : EMPTY;
  const others = remotes(v);
  const main = others[0] || null;
  useEffect(() => {
    const room = tv.line.room();
    if (!room || !main) return;
    const px = window.devicePixelRatio * (document.documentElement.clientWidth / 120);
    room.want([{ track: `${main.participant}:cam`, w: Math.round(28 * px), h: Math.round(15.8 * px), visible: true }]);
  }, [main ? main.participant : '', v.state]);
  return (
    <>
      <Small remote={main} name={name} volume={volume / 8} />
      {others.slice(1).map((r) => <Sound key={r.participant} stream={r.stream} volume={volume / 8} />)}
    </>
  );
}

function Small(p: { remote: Remote | null; name: string; volume: number }) {
  const { ref } = usePlayer<HTMLVideoElement>(p.remote ? p.remote.stream : null, p.volume);
  const picture = p.remote !== null && p.remote.picture;
  const who = (p.remote && p.remote.name) || p.name;
  return (
    <div class="m-face">
      <video ref={ref} autoplay playsInline class={picture ? '' : 'dark'} aria-label={who} />
      {!picture && <div class="face">{initial(who)}</div>}
      <p>{p.remote ? t('read.online', { name: who }) : who}</p>
    </div>
  );
}

/** 退出调解 stands at the end of every row. */
export function QuitButton() {
  const tv = useTv();
  return <Button id="quit" icon={glyphs.exit} class="quit" word={t('quit')} say={t('quit')} onPress={() => tv.ask({ name: 'withdraw' })} />;
}
