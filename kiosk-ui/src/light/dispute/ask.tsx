// What a party is asked, one thing at a time: articles of the notice and consents one a screen, nothing chosen before.
import { useEffect, useState } from 'preact/hooks';
import { askLine, askPages } from '../../core/asks';
import type { Ask as Question } from '../../core/dispute';
import { Trouble, useCommand, type StepProps } from './parts';
import { t, type Key } from './touch';

export function Ask({ c, d, speaker, q }: StepProps & { q: Question }) {
  const pages = askPages(q);
  const [at, setAt] = useState(0);
  const [given, setGiven] = useState<Record<string, boolean>>({});
  const cmd = useCommand();
  const page = pages[Math.min(at, pages.length - 1)]!;
  const line = askLine(q, at);
  useEffect(() => speaker.say(line), [line]);
  const last = at >= pages.length - 1;

  const [unclear, setUnclear] = useState(false);
  const answer = (yes: boolean) => {
    speaker.unlock();
    if (q.kind === 'notice' && !yes) { // nothing in it can be refused: it stays until it is clear
      setUnclear(true);
      speaker.say(t('ask.explain'), true);
      return;
    }
    if (q.kind !== 'consents' || !page.item) {
      cmd.run(() => c.answer(q.id, { yes, spoken: true }));
      return;
    }
    const items = { ...given, [page.item]: yes };
    setGiven(items);
    if (last) cmd.run(() => c.answer(q.id, { yes: true, items, spoken: true }));
    else setAt(at + 1);
  };
  const step = (by: number) => {
    speaker.unlock();
    setAt(Math.max(0, Math.min(pages.length - 1, at + by)));
  };
  return (
    <section class="dp ask-step">
      <p class="eyebrow">{t('ask.asked', { name: d.mediator })}{pages.length > 1 && <b>{at + 1} / {pages.length}</b>}</p>
      <h2>{q.title}</h2>
      {page.item && (q.lines || []).length > 0 && <p class="lead">{(q.lines || []).join('')}</p>}
      <div class="paper" aria-live="polite">{page.lines.map((l) => <p key={l}>{l}</p>)}</div>
      {unclear && <p class="good" role="status">{t('ask.explain')}</p>}
      <Trouble error={cmd.error} />
      {q.kind === 'notice' && !last
        ? <button type="button" class="big" onClick={() => step(1)}>{t('ask.next')}</button>
        : (
          <div class="dp-pair">
            <button type="button" class="mid yes" disabled={cmd.busy} onClick={() => answer(true)}>{t(`ask.yes.${q.kind}` as Key)}</button>
            <button type="button" class="mid" disabled={cmd.busy} onClick={() => answer(false)}>{t(`ask.no.${q.kind}` as Key)}</button>
          </div>
        )}
      <div class="dp-pair quiet">
        <button type="button" class="mid" onClick={() => { speaker.unlock(); speaker.say(line, true); }}>{t('ask.again')}</button>
        {at > 0 && <button type="button" class="mid" onClick={() => step(-1)}>{t('ask.prev')}</button>}
      </div>
      <p class="note">{t('ask.free')}</p>
    </section>
  );
}
