import { Button } from 'antd';
import { useEffect, useRef, useState } from 'react';
import type { Mark } from '../agreement/mark';
import { openPad, type Pad } from '../agreement/pad';
import { t } from './t';

/** A field to write one's name in; `onMark` gets the mark once it is a name, null before. */
export function SignPad({ onMark }: { onMark: (mark: Mark | null) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pad = useRef<Pad | null>(null);
  const [blank, setBlank] = useState(true);
  const tell = useRef(onMark);
  tell.current = onMark;
  useEffect(() => {
    if (canvas.current === null) return;
    const p = openPad(canvas.current, {
      onChange: () => {
        setBlank(p.mark().strokes.length === 0);
        tell.current(p.enough ? p.mark() : null);
      },
    });
    pad.current = p;
    return () => p.close();
  }, []);
  return (
    <div className="padbox">
      <canvas ref={canvas} aria-label={t('sg.pad')} role="img" />
      {blank && <span className="padhint">{t('sg.pad')}</span>}
      <Button size="small" className="padclear" disabled={blank} onClick={() => pad.current?.clear()}>{t('sg.pad.clear')}</Button>
    </div>
  );
}
