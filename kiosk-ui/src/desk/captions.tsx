import { Button, Input, Select } from 'antd';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { hourMinute } from '../core/clock';
import type { Room, RoomView } from '../core/rtc/room';
import { t, word } from './t';
import type { Dispute } from './types';

/** What a typed line becomes: words on the other screens, or a line of the mediation's record. */
export type LineKind = 'caption' | 'statement' | 'undisputed_fact';
export const LINE_KINDS: readonly LineKind[] = ['caption', 'statement', 'undisputed_fact'];

type Line = { at: number; name: string; text: string; tone: string };
type Props = { room: Room | null; view: RoomView | null; nameOf: (participant: string, name: string) => string; onUnsent: () => void; record: Dispute | null; onRecord: (kind: LineKind, text: string) => Promise<boolean> };

/** Words typed for the other side's screen and, in a mediation, the lines of the record; F6 changes which it is. */
export function Captions({ room, view, nameOf, onUnsent, record, onRecord }: Props) {
  const [text, setText] = useState('');
  const [kind, setKind] = useState<LineKind>('caption');
  const [sent, setSent] = useState<Line[]>([]);
  const end = useRef<HTMLDivElement>(null);
  const kinds = record === null ? LINE_KINDS.slice(0, 1) : LINE_KINDS;
  const now = kinds.includes(kind) ? kind : 'caption';
  const theirs = (view?.captions ?? []).filter((c) => c.participant !== view?.self).map((c) => ({ at: c.at, name: nameOf(c.participant, c.name), text: c.text, tone: '' }));
  const said = (record?.statements ?? []).map((s) => ({ at: s.at / 1000, name: word('line', s.kind), text: s.text, tone: s.kind === 'undisputed_fact' ? 'fact' : 'said' }));
  const lines = [...sent, ...theirs, ...said].sort((a, b) => a.at - b.at);
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [lines.length]);
  useEffect(() => {
    if (record === null) return;
    const down = (e: globalThis.KeyboardEvent) => {
      if (e.key !== 'F6' || e.ctrlKey || e.altKey) return;
      e.preventDefault();
      setKind((k) => LINE_KINDS[(LINE_KINDS.indexOf(k) + 1) % LINE_KINDS.length] ?? 'caption');
    };
    window.addEventListener('keydown', down);
    return () => window.removeEventListener('keydown', down);
  }, [record === null]);

  const send = async () => {
    const line = text.trim();
    if (line === '') return;
    if (now !== 'caption') {
      if (await onRecord(now, line)) setText('');
      return;
    }
    if (room === null) return;
    if (!room.chat(line)) {
      onUnsent();
      return;
    }
    setSent((s) => [...s, { at: Date.now(), name: t('cap.you'), text: line, tone: 'me' }]);
    setText('');
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      void send();
    }
  };
  const count = (k: string) => record?.statements.filter((s) => s.kind === k).length ?? 0;
  return (
    <>
      <div className="log">
        <div className="logh">
          <b>{record === null ? t('cap.title') : t('rec.title')}</b>
          {record !== null && <><span className="tag g">{t('line.undisputed_fact')} {count('undisputed_fact')}</span><span className="tag">{t('line.statement')} {count('statement')}</span></>}
          <span className="grow" />
          <span className="dim">{record === null ? t('cap.note') : t('rec.note')}</span>
        </div>
        <div className="lines" role="log">
          {lines.length === 0 && <p className="dim">{record === null ? t('cap.none') : t('rec.none')}</p>}
          {lines.map((l) => (
            <p key={`${l.at}${l.text}`} className="ln"><time>{hourMinute(l.at * 1000)}</time><span className={l.tone}>{l.name}</span><span>{l.text}</span></p>
          ))}
          <div ref={end} />
        </div>
      </div>
      <div className="cap">
        {record !== null && <Select aria-label={t('rec.kind')} className="kind" value={now} onChange={setKind} options={kinds.map((k) => ({ value: k, label: word('line', k) }))} />}
        <Input value={text} maxLength={now === 'caption' ? 120 : 400} aria-label={record === null ? t('cap.title') : t('rec.title')} placeholder={now === 'caption' ? t('cap.place') : word('rec.place', now)} onChange={(e) => setText(e.target.value)} onKeyDown={key} />
        <Button type="primary" onClick={() => void send()} disabled={text.trim() === ''}>{now === 'caption' ? t('cap.send') : t('rec.send')}</Button>
      </div>
    </>
  );
}
