// The one-time address by which the person of a TV or kiosk signs on a phone: kept fresh while a screen shows it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Handover, PartyDispute } from '../../core/dispute';

const FRESH_US = 30e6;
const TRY_MS = 6000;

/** useHandover keeps a signing address that lasts while the screen shows it. */
export function useHandover(p: { c: PartyDispute; nowUs: () => number }): { link: Handover | null; failed: boolean; renew: () => void } {
  const [link, setLink] = useState<Handover | null>(null);
  const [failed, setFailed] = useState(false);
  const held = useRef<Handover | null>(null);
  const busy = useRef(false);
  const mint = () => {
    if (busy.current) return;
    busy.current = true;
    setFailed(false);
    p.c.handover().then((h) => { held.current = h; setLink(h); }, () => setFailed(true)).then(() => { busy.current = false; });
  };
  useEffect(() => {
    mint();
    const id = setInterval(() => { if (!held.current || held.current.expires_at - p.nowUs() < FRESH_US) mint(); }, TRY_MS);
    return () => clearInterval(id);
  }, []);
  return { link, failed, renew: () => { held.current = null; setLink(null); mint(); } };
}
