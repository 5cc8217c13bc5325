// What the steps of a dispute share on touch pages (phone and kiosk).
import { useRef, useState } from 'preact/hooks';
import { asApiError, type ApiError } from '../../core/api';
import type { MyDispute, PartyAgreement, PartyDispute } from '../../core/dispute';
import type { Speaker } from '../../core/speak';
import { err } from './touch';

export interface StepProps {
  c: PartyDispute;
  d: MyDispute;
  speaker: Speaker;
  /** Drawn on this page by hand; else by a one-time address on the person's own phone. */
  pen: boolean;
  /** Server's now, Unix µs. */
  nowUs: () => number;
}
export interface PaperProps extends StepProps { a: PartyAgreement }

export interface Command { busy: boolean; error: ApiError | null; run: (f: () => Promise<unknown>) => void; forget: () => void }

/** One command at a time; a refusal stays on screen until the next press. */
export function useCommand(): Command {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const now = useRef(false);
  return {
    busy,
    error,
    forget: () => setError(null),
    run(f) {
      if (now.current) return;
      now.current = true;
      setBusy(true);
      setError(null);
      f().catch((e: unknown) => setError(asApiError(e))).then(() => {
        now.current = false;
        setBusy(false);
      });
    },
  };
}

export function Trouble({ error }: { error: ApiError | null }) {
  if (!error) return null;
  const e = err(error.code);
  return <p class="bad" role="alert"><b>{e.what}</b>。{e.todo}。{e.call}。</p>;
}
