// Six digits by the remote: keyed, or ▲▼ in each box where there are no digit keys.
import { useEffect, useRef, useState } from 'preact/hooks';
import { showCode } from '../../agreement/digest';
import { codeOf, emptyBoxes, moved, turned, typed, type Boxes } from '../../core/digits';
import { useStore } from '../../core/hooks.preact';
import { spokenDigits } from '../../core/t';
import { t } from '../../light/dispute/t';
import { icons } from '../ui/icons-late';
import { Button, Press, useTv } from '../ui/screen';
import { Column, Frame, glyphs, QuitButton, type PaperProps, type StepProps } from './frame';
import type { Matter } from './matter';

/** useBoxes takes the digit keys while the screen shows and sends a full code once. */
function useBoxes(m: Matter, send: (code: string) => Promise<unknown>): { boxes: Boxes; change: (b: Boxes, submit?: boolean) => void } {
  const tv = useTv();
  const [boxes, set] = useState(emptyBoxes());
  const now = useRef(boxes);
  const change = (b: Boxes, submit = true) => {
    if (tv.busy.get()) return;
    now.current = b;
    set(b);
    const code = submit ? codeOf(b) : '';
    if (!code) return;
    void tv.command(() => send(code)).then((ok) => {
      if (ok) return;
      now.current = emptyBoxes();
      set(now.current);
    });
  };
  useEffect(() => {
    m.onDigit((n) => change(typed(now.current, n)));
    return () => m.onDigit(null);
  }, []);
  return { boxes, change };
}

function Row({ boxes, change }: { boxes: Boxes; change: (b: Boxes, submit?: boolean) => void }) {
  const tv = useTv();
  return (
    <div class="m-boxes">
      {boxes.d.map((x, i) => (
        <Press
          key={i} id={`box${i}`} class={`box ${x !== null ? 'y' : ''} ${i === boxes.at ? 'now' : ''}`}
          label={x === null ? t('code.box.empty', { n: i + 1 }) : t('code.box', { n: i + 1, d: x })}
          onArrow={(dir) => {
            if (dir === 'u' || dir === 'd') change(turned(boxes, i, dir === 'u' ? 1 : -1), false);
            else if (dir === 'l' && i === 0) return tv.pad.focus('again');
            else if (dir === 'r' && i === boxes.d.length - 1) return tv.pad.focus('again');
            else return false;
            return true;
          }}
          onFocus={(on) => { if (on && boxes.at !== i) change(moved(boxes, i), false); }}
          onPress={() => {
            if (i === boxes.d.length - 1 || codeOf(boxes)) change(boxes);
            else tv.pad.focus(`box${i + 1}`);
          }}
        >
          {x === null ? '' : x}
        </Press>
      ))}
    </div>
  );
}

export function Readback({ m, d, s, a }: PaperProps) {
  const tv = useTv();
  useStore(tv.busy);
  const { boxes, change } = useBoxes(m, (code) => m.c.readback(code));
  const [called, setCalled] = useState(false);
  const say = t('code.say', { code: spokenDigits(a.code) });
  return (
    <Frame
      name="code" say={say} icon={glyphs.paper} title={t('code.title')} place={`${t('read.place', { v: a.v })}　${t('code.allread')}`}
      cols="four" keys={['digits', 'back']}
      row={<>
        <Button id="again" first icon={icons.speak} word={t('code.again')} onPress={() => tv.voice.say(say, true)} />
        <Button id="call" icon={icons.help} word={t('code.call')} say={t('code.differ')} onPress={() => void tv.command(() => m.c.unclear((a.blocks || [])[0]!.n, true)).then((ok) => { if (ok) { setCalled(true); tv.voice.say(t('code.called'), true); } })} />
        <Button id="paper" word={t('code.back')} onPress={() => m.reread(true)} />
        <QuitButton />
      </>}
    >
      <div class="m-agree">
        <article class="m-sheet keyin">
          <p class="ask-line">{t('code.is')}</p>
          <p class="m-big">{showCode(a.code)}</p>
          <p class="ask-line">{t('code.do.tv')}</p>
          <Row boxes={boxes} change={change} />
        </article>
        <Column s={s} name={d.mediator}>
          <dl>
            <dt>{d.me.name}</dt><dd class="mid">{t('code.pressing')}</dd>
            {(d.others || []).filter((o) => o.readback_ok !== undefined).map((o, k) => [<dt key={`t${k}`}>{o.name}</dt>, <dd key={`d${k}`} class={o.readback_ok ? '' : 'mid'}>{t(o.readback_ok ? 'code.right' : 'code.notyet')}</dd>])}
          </dl>
          <div class="m-code">{a.mediator_called || called ? <em>{t('code.called')}</em> : <>{t('code.same')}<br />{t('code.differ')}<br />{t('code.nodigits')}</>}</div>
        </Column>
      </div>
    </Frame>
  );
}

export function PhoneCode({ m, d, s }: StepProps) {
  const tv = useTv();
  const { boxes, change } = useBoxes(m, (code) => m.c.phoneCode(code));
  return (
    <Frame
      name="phone-code" say={t('phone.say')} icon={icons.tel} title={t('phone.title')} place={t('phone.place')} cols="two"
      keys={['digits', 'back']}
      row={<><Button id="again" first icon={icons.speak} word={t('ask.again')} onPress={() => tv.voice.say(t('phone.say'), true)} /><QuitButton /></>}
    >
      <div class="m-agree">
        <article class="m-sheet keyin">
          <p class="ask-line">{t('phone.is')}</p>
          <p class="ask-line strong">{t('phone.do')}</p>
          <Row boxes={boxes} change={change} />
        </article>
        <Column s={s} name={d.mediator}><div class="m-code">{t('phone.nomsg')}<br />{t('code.nodigits')}</div></Column>
      </div>
    </Frame>
  );
}
