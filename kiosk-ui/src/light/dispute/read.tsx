// Reading the frozen agreement, a page each block: forwards from the end of a page marks it read.
import { useEffect, useState } from 'preact/hooks';
import { BlockView } from '../../agreement/view';
import { showCode } from '../../agreement/digest';
import { readAll } from '../../core/dispute';
import { firstUnread, isRead, pagesOf, pagesRead, spokenPage } from '../../core/pages';
import { Trouble, useCommand, type PaperProps } from './parts';
import { t, type Key } from './touch';

/** onDone: everything is read and the person wants to go on. */
export function Read({ c, a, speaker, onDone }: PaperProps & { onDone: (() => void) | null }) {
  const pages = pagesOf(a.blocks);
  const [at, setAt] = useState(() => firstUnread(pages, a.read));
  const cmd = useCommand();
  const page = pages[Math.min(at, pages.length - 1)];
  useEffect(() => {
    speaker.say('');
    window.scrollTo(0, 0);
  }, [at]);
  if (!page) return null;
  const kind = page.blocks[0]!.t;
  const heading = kind === 'clause' ? '' : t(`read.title.${kind === 'number' ? 'title' : kind}` as Key);
  const last = at === pages.length - 1;
  const unclear = page.ns.some((n) => (a.unclear || []).indexOf(n) >= 0);
  const forward = () => {
    speaker.unlock();
    speaker.hush();
    cmd.run(async () => {
      if (!isRead(page, a.read)) await c.read(page.ns);
      if (!last) setAt(at + 1);
      else if (onDone) onDone();
    });
  };
  return (
    <section class="dp read-step">
      <p class="eyebrow">{t('read.place', { v: a.v })}</p>
      <h2>{t('read.title')}<small>{at + 1} / {pages.length}</small></h2>
      <div class="dp-dots" aria-hidden="true">{pages.map((x, i) => <i key={i} class={i === at ? 'now' : isRead(x, a.read) ? 'y' : ''} />)}</div>
      <article class="paper" key={at}>
        {heading && <h3>{heading}</h3>}
        {page.blocks.map((b) => <BlockView key={b.n} block={b} />)}
      </article>
      <Trouble error={cmd.error} />
      <button type="button" class="big" disabled={cmd.busy} onClick={forward}>{last ? (readAll(a) && onDone ? t('read.done') : t('read.last')) : t('read.next')}</button>
      <div class="dp-pair quiet">
        <button type="button" class="mid" onClick={() => { speaker.unlock(); speaker.say(spokenPage(page), true); }}>{t('read.say')}</button>
        <button type="button" class={`mid${unclear ? ' on' : ''}`} aria-pressed={unclear} disabled={cmd.busy} onClick={() => cmd.run(() => c.unclear(page.ns[0]!, !unclear))}>{t(unclear ? 'read.unclear.on' : 'read.unclear')}</button>
        {at > 0 && <button type="button" class="mid" onClick={() => setAt(at - 1)}>{t('read.prev')}</button>}
      </div>
      <p class="note">{t('read.you')} {t('read.count', { n: pagesRead(pages, a.read), of: pages.length })} · {t('code.label')} {showCode(a.code)}</p>
    </section>
  );
}
