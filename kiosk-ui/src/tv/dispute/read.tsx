// The frozen agreement, one block a screen in 58 px. ▲▼ turn; a block counts as read when it was left forwards with its
// end in sight (ui.md §14).
import { useState } from 'preact/hooks';
import { showCode } from '../../agreement/digest';
import { BlockView } from '../../agreement/view';
import { firstUnread, isRead, pagesOf, pagesRead, spokenPage } from '../../core/pages';
import type { Dir } from '../../core/keys';
import { useStore } from '../../core/hooks.preact';
import { t, type Key } from '../../light/dispute/t';
import { icons } from '../ui/icons-late';
import { Button, useTv } from '../ui/screen';
import { Column, Frame, glyphs, QuitButton, type PaperProps } from './frame';
import { useSheet } from './scroll';

export function Read({ m, d, s, a }: PaperProps) {
  const tv = useTv();
  const { reread } = useStore(m);
  const busy = useStore(tv.busy);
  const pages = pagesOf(a.blocks);
  const [at, setAt] = useState(() => (reread ? 0 : firstUnread(pages, a.read)));
  const i = Math.min(at, pages.length - 1);
  const page = pages[i]!;
  const sheet = useSheet(`${a.digest} ${i}`);
  const last = i === pages.length - 1;
  const done = pagesRead(pages, a.read);
  const unclear = page.ns.some((n) => (a.unclear || []).indexOf(n) >= 0);
  const kind = page.blocks[0]!.t;
  const heading = kind === 'clause' ? '' : t(`read.title.${kind === 'number' ? 'title' : kind}` as Key);

  const forward = () => {
    if (sheet.down() || busy) return;
    const on = () => {
      if (!last) setAt(i + 1);
      else if (reread) m.reread(false);
      else setAt(firstUnread(pages, a.read));
    };
    if (isRead(page, a.read)) on();
    else void tv.command(() => m.c.read(page.ns)).then((ok) => { if (ok && !last) setAt(i + 1); });
  };
  const back = () => { if (!sheet.up() && i > 0) setAt(i - 1); };
  const turn = (dir: Dir): boolean => {
    if (dir === 'd') forward();
    else if (dir === 'u') back();
    else return false;
    return true;
  };
  return (
    <Frame
      name="read" mute say={t('read.caption', { what: heading || (page.blocks[0]!.lines[0] || '').slice(0, 12) })} icon={glyphs.paper} title={t('read.title')}
      place={t('read.place', { v: a.v })} right={[t('read.at', { n: i + 1 }), t('read.of', { n: pages.length })]} cols="five"
      keys={['turn', 'back']}
      row={<>
        <Button id="next" first icon={glyphs.down} word={t(sheet.more ? 'read.more' : last ? 'read.last' : 'read.next')} onArrow={turn} onPress={forward} />
        <Button id="say" icon={icons.speak} word={t('read.say')} onArrow={turn} onPress={() => tv.voice.say(spokenPage(page), true)} />
        <Button id="unclear" icon={icons.help} class={unclear ? 'lit' : ''} word={t(unclear ? 'read.unclear.on' : 'read.unclear')} say={t('read.unclear.sub')} onArrow={turn} onPress={() => void tv.command(() => m.c.unclear(page.ns[0]!, !unclear))} />
        <Button id="code" word={reread ? t('read.done') : t('read.todo', { n: pages.length })} disabled={!reread} onArrow={turn} onPress={() => m.reread(false)} />
        <QuitButton />
      </>}
    >
      <div class="m-agree">
        <article class="m-sheet">
          <div class="m-head"><h2>{heading}</h2><span class="m-dots" aria-hidden="true">{pages.map((p, k) => <b key={k} class={k === i ? 'now' : isRead(p, a.read) ? 'y' : ''} />)}</span></div>
          <div class={`m-text at-${kind}`} ref={sheet.ref}>{page.blocks.map((b) => <BlockView key={b.n} block={b} />)}</div>
          {sheet.more ? <div class="m-more">▼</div> : <div class="m-why">{t('read.wrong')}</div>}
        </article>
        <Column s={s} name={d.mediator}>
          <dl>
            <dt>{t('read.you')}</dt><dd class="mid">{t('read.count', { n: done, of: pages.length })}</dd>
            {(d.others || []).filter((o) => o.read !== undefined).map((o, k) => <Other key={k} name={o.name} n={o.read!} of={(a.blocks || []).length} />)}
          </dl>
          <div class="m-code">{t('code.everywhere')}<b>{showCode(a.code)}</b></div>
        </Column>
      </div>
    </Frame>
  );
}

const Other = (p: { name: string; n: number; of: number }) => <><dt>{p.name}</dt><dd>{p.n} / {p.of}</dd></>;
