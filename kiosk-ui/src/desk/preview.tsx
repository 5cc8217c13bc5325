import { useEffect, useState } from 'react';
import { verify, type Verdict } from '../agreement/digest';
import { BlockView } from '../agreement/view';
import { t } from './t';
import type { Agreement, Dispute } from './types';

/** Whether what this desk draws is what was frozen; null while it is worked out, or before the freeze. */
export function useVerdict(a: Agreement | null): Verdict | null {
  const [found, setFound] = useState<{ a: Agreement; verdict: Verdict } | null>(null);
  useEffect(() => {
    if (a === null || a.digest === '') return;
    let on = true;
    void verify(a).then((verdict) => on && setFound({ a, verdict }));
    return () => {
      on = false;
    };
  }, [a]);
  return found !== null && found.a === a ? found.verdict : null;
}

/** The blocks as every screen draws them, with what each party does not understand in the margin. */
export function Preview({ d }: { d: Dispute }) {
  const blocks = d.agreement?.blocks ?? [];
  const frozen = d.agreement !== null && d.agreement.digest !== '';
  return (
    <div className="paper">
      {blocks.map((b) => {
        const puzzled = d.parties.filter((p) => p.unclear.includes(b.n));
        const read = d.parties.filter((p) => p.read.includes(b.n));
        return (
          <div key={b.n} id={`block-${b.n}`} className={puzzled.length > 0 ? 'pblock puzzled' : 'pblock'}>
            <BlockView block={b} />
            {frozen && (
              <div className="margin">
                {puzzled.map((p) => <span key={p.id} className="tag r">? {t('cl.unclear', { name: p.name })}</span>)}
                {puzzled.length === 0 && read.length > 0 && (b.t === 'clause' || b.t === 'facts') && <span className="tag g">✓ {t('sg.block.read', { names: read.map((p) => p.name).join('、') })}</span>}
              </div>
            )}
          </div>
        );
      })}
    </div>
  );
}
