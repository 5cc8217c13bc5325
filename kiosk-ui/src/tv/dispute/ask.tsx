// A question to the person: the notice in parts, one consent a screen. Nothing is focused on yes (ui.md §5.2).
import { useState } from 'preact/hooks';
import { askLine, askPages } from '../../core/asks';
import type { Ask as Question } from '../../core/dispute';
import type { Dir } from '../../core/keys';
import { t, type Key } from '../../light/dispute/t';
import { icons } from '../ui/icons-late';
import { Button, useTv } from '../ui/screen';
import { Column, Frame, glyphs, QuitButton, type StepProps } from './frame';
import { useSheet } from './scroll';

export function Ask({ m, d, s, q }: StepProps & { q: Question }) {
  const tv = useTv();
  const pages = askPages(q);
  const [at, setAt] = useState(0);
  const [given, setGiven] = useState<Record<string, boolean>>({});
  const page = pages[Math.min(at, pages.length - 1)]!;
  const last = at >= pages.length - 1;
  const line = askLine(q, at);
  const sheet = useSheet(`${q.id} ${at}`);
  const intro = page.item ? (q.lines || []).join('') : '';

  const answer = (yes: boolean) => {
    if (q.kind === 'notice' && !yes) { // nothing in it can be refused: it stays until it is clear
      tv.voice.say(t('ask.explain'), true);
      return;
    }
    const items = page.item ? { ...given, [page.item]: yes } : given;
    if (page.item) setGiven(items);
    if (page.item && !last) setAt(at + 1);
    else void tv.command(() => m.c.answer(q.id, page.item ? { yes: true, items, spoken: true } : { yes, spoken: true }));
  };
  const go = (by: number) => setAt(Math.max(0, Math.min(pages.length - 1, at + by)));
  const turn = (dir: Dir): boolean => {
    if (dir === 'd') return sheet.down() || (q.kind === 'notice' && !last ? (go(1), true) : false);
    if (dir === 'u') return sheet.up() || (at > 0 ? (go(-1), true) : false);
    return false;
  };
  const again = <Button key="again" id="again" first={q.kind !== 'notice' || last} icon={icons.speak} word={t('ask.again')} onArrow={turn} onPress={() => tv.voice.say(line, true)} />;
  const forward = q.kind === 'notice' && !last;
  return (
    <Frame
      name={`ask-${q.id}-${at}`} say={line} icon={glyphs.paper} title={q.title} place={t('ask.asked', { name: d.mediator })}
      right={pages.length > 1 ? [t('ask.page', { n: at + 1 }), t('ask.pages', { n: pages.length })] : undefined}
      cols={forward ? 'four' : 'ask4'} keys={['ok', 'back']}
      row={forward
        ? <>
          <Button id="next" first icon={glyphs.down} word={t('ask.next')} onArrow={turn} onPress={() => { if (!sheet.down()) go(1); }} />
          {again}
          <Button id="prev" word={t('ask.prev')} disabled={at === 0} onArrow={turn} onPress={() => go(-1)} />
          <QuitButton />
        </>
        : <>
          {again}
          <Button id="yes" final word={t(`ask.yes.${q.kind}` as Key)} say={t(`ask.yes.${q.kind}` as Key)} onArrow={turn} onPress={() => answer(true)} />
          <Button id="no" final word={t(`ask.no.${q.kind}` as Key)} say={t(`ask.no.${q.kind}` as Key)} onArrow={turn} onPress={() => answer(false)} />
          <QuitButton />
        </>}
    >
      <div class="m-agree">
        <article class="m-sheet">
          {intro && <h2>{intro}</h2>}
          <div class="m-text" ref={sheet.ref}>{page.lines.map((l) => <p key={l}>{l}</p>)}</div>
          {sheet.more && <div class="m-more">▼</div>}
        </article>
        <Column s={s} name={d.mediator}><p class="soft">{t('ask.free')}</p></Column>
      </div>
    </Frame>
  );
}
