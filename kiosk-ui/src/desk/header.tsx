import { Button, Dropdown, type MenuProps } from 'antd';
import { useTick } from '../core/hooks.react';
import { secondsLeft } from '../core/clock';
import type { Desk } from '../core/types';
import { stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import type { Work } from './desk';
import { inCall, sceneOf } from './scene';
import { t, word } from './t';

const AWAY = ['meal', 'rest', 'meeting', 'visit', 'other'] as const;

type Shown = { dot: string; text: string };

function seatShown(desk: Desk, nowAt: number): Shown {
  const scene = sceneOf(desk);
  if (scene === 'ringing') return { dot: 'y', text: t('seat.ringing') };
  if (inCall(scene) && desk.session) return { dot: 'g', text: t('seat.busy', { time: stopwatch((nowAt - desk.session.started_at) / 1e6) }) };
  if (scene === 'wrap' && desk.wrap_up) return { dot: 'y', text: t('seat.wrap', { time: stopwatch(secondsLeft(desk.wrap_up.until_at, nowAt)) }) };
  switch (desk.seat.state) {
    case 'ready':
      return { dot: 'g', text: t('seat.ready') };
    case 'away':
      return { dot: 'y', text: desk.seat.reason ? t('seat.away.as', { why: word('away', desk.seat.reason) }) : t('seat.away') };
    case 'offline':
      return { dot: '', text: t('seat.offline') };
    default:
      return { dot: 'y', text: t('seat.ready') };
  }
}

/** The dark bar: who and where, keys, the state of the line and of the seat. */
export function Header({ work, desk, soundBlocked, onSound }: { work: Work; desk: Desk; soundBlocked: boolean; onSound: () => void }) {
  useTick(500);
  const { me } = work.staff;
  const now = work.clock.nowUs();
  const seat = seatShown(desk, now);
  const free = sceneOf(desk) === 'idle';
  const down = !work.line.up && work.line.downSince > 0 && Date.now() - work.line.downSince > 3000;
  const items: MenuProps['items'] =
    desk.seat.state === 'ready'
      ? [{ key: 'away', type: 'group', label: t('seat.away'), children: AWAY.map((a) => ({ key: a, label: word('away', a) })) }]
      : [{ key: 'ready', label: t('seat.go_ready') }, ...(desk.seat.state === 'offline' ? [{ key: 'rest', label: t('seat.away') }] : [])];
  return (
    <header className="hd">
      <span className="logo"><Icon name="scale" /></span>
      <span className="name">{t('staff.brand')} {t('desk.name')}</span>
      <span className="org">{[...me.staff.unit.path.slice(-2, -1), me.staff.unit.name].join(' · ')}</span>
      {me.demo && <span className="demo">{t('demo')}</span>}
      <span className="grow" />
      {down && <span className="pill flat warn" role="status"><i className="dot y" />{t('line.down')}</span>}
      {work.line.newer !== '' && <button type="button" className="pill" onClick={() => location.reload()}>{t('version.new')}，{t('version.go')}</button>}
      {soundBlocked && <button type="button" className="pill warn" onClick={onSound}><Icon name="bell" size={16} />{t('sound.blocked')}，{t('sound.open')}</button>}
      <span className="org keys"><kbd>F2</kbd> {t('key.take')}　<kbd>F4</kbd> {t('key.mute')}　<kbd>Ctrl</kbd> <kbd>Enter</kbd> {t('key.caption')}</span>
      <Dropdown trigger={['click']} disabled={!free} menu={{ items, onClick: ({ key }) => void (key === 'ready' ? work.setSeat('ready') : work.setSeat('away', key)) }}>
        <button type="button" className="pill seat" disabled={!free} title={desk.seat.state === 'ready' ? t('seat.ready.note') : undefined}>
          <i className={`dot ${seat.dot}`} /><span className="num">{seat.text}</span>{free && <span aria-hidden="true">▾</span>}
        </button>
      </Dropdown>
      <Avatar work={work} />
    </header>
  );
}

function Avatar({ work }: { work: Work }) {
  const { staff } = work.staff.me;
  return (
    <Dropdown
      trigger={['click']}
      popupRender={() => (
        <div className="whoami">
          <b>{staff.name}</b>
          <span>{staff.title}</span>
          <span>{staff.unit.path.join(' › ')}</span>
          <Button block onClick={() => void work.staff.signOut()}>{t('signin.leave')}</Button>
        </div>
      )}
    >
      <button type="button" className="ava" aria-label={staff.name}>{Array.from(staff.name).at(-1)}</button>
    </Dropdown>
  );
}
