import { Button, Input } from 'antd';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { hourMinute } from '../core/clock';
import type { Room, RoomView } from '../core/rtc/room';
import { t } from './t';

type Line = { at: number; name: string; text: string; mine: boolean };

/** Words typed for the other side's screen; what was sent in this call stands above the field. */
export function Captions({ room, view, onUnsent }: { room: Room | null; view: RoomView | null; onUnsent: () => void }) {
  const [text, setText] = useState('');
  const [sent, setSent] = useState<Line[]>([]);
  const end = useRef<HTMLDivElement>(null);
  const theirs = (view?.captions ?? []).filter((c) => c.participant !== view?.self).map((c) => ({ at: c.at, name: c.name, text: c.text, mine: false }));
  const lines = [...sent, ...theirs].sort((a, b) => a.at - b.at);
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [lines.length]);

  const send = () => {
    const line = text.trim();
    if (line === '' || room === null) return;
    if (!room.chat(line)) {
      onUnsent();
      return;
    }
    setSent((s) => [...s, { at: Date.now(), name: t('cap.you'), text: line, mine: true }]);
    setText('');
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      send();
    }
  };
  return (
    <>
      <div className="log">
        <div className="logh"><b>{t('cap.title')}</b><span className="grow" /><span className="dim">{t('cap.note')}</span></div>
        <div className="lines" role="log">
          {lines.length === 0 && <p className="dim">{t('cap.none')}</p>}
          {lines.map((l) => (
            <p key={`${l.at}${l.text}`} className="ln"><time>{hourMinute(l.at * 1000)}</time><span className={l.mine ? 'me' : ''}>{l.name}</span><span>{l.text}</span></p>
          ))}
          <div ref={end} />
        </div>
      </div>
      <div className="cap">
        <Input value={text} maxLength={120} aria-label={t('cap.title')} placeholder={t('cap.place')} onChange={(e) => setText(e.target.value)} onKeyDown={key} />
        <Button type="primary" onClick={send} disabled={text.trim() === ''}>{t('cap.send')}</Button>
      </div>
    </>
  );
}
