// Signing: by hand on this page, or by a one-time address on the person's own phone; who has signed; paper.
import { useEffect, useRef, useState } from 'preact/hooks';
import { showCode } from '../../agreement/digest';
import { openPad, type Pad } from '../../agreement/pad';
import type { MyDispute, PartyAgreement } from '../../core/dispute';
import { hourMinute } from '../../core/clock';
import { spokenDigits } from '../../core/t';
import { Qr } from '../ui';
import { useHandover } from './handover';
import { Trouble, useCommand, type PaperProps } from './parts';
import { t } from './touch';

export function Sign(p: PaperProps & { onBack: () => void }) {
  return p.pen ? <ByHand {...p} /> : <ByPhone {...p} />;
}

function ByHand({ c, d, a, speaker, onBack }: PaperProps & { onBack: () => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pad = useRef<Pad | null>(null);
  const [ready, setReady] = useState(false);
  const cmd = useCommand();
  const say = t('sign.say.pad', { code: spokenDigits(a.code) });
  useEffect(() => speaker.say(say), [say]);
  useEffect(() => {
    if (!canvas.current) return undefined;
    const mine = openPad(canvas.current, { onChange: () => setReady(mine.enough) });
    pad.current = mine;
    return () => mine.close();
  }, []);
  return (
    <section class="dp">
      <h2>{t('sign.title')}<small>{d.me.name}</small></h2>
      <div class="paper mid-text"><p>{t('code.label')}</p><p class="codebig">{showCode(a.code)}</p><p>{t('sign.pad.same')}</p></div>
      <canvas ref={canvas} class="dp-pad" role="img" aria-label={t('sign.pad')} />
      <p class="note">{t('sign.pad')}</p>
      <Trouble error={cmd.error} />
      <button type="button" class="big" disabled={!ready || cmd.busy} onClick={() => { const m = pad.current; if (m && m.enough) cmd.run(() => c.sign(m.mark())); }}>{t(ready ? 'sign.pad.done' : 'sign.pad.more')}</button>
      <div class="dp-pair quiet">
        <button type="button" class="mid" disabled={cmd.busy} onClick={() => { if (pad.current) pad.current.clear(); }}>{t('sign.pad.clear')}</button>
        <button type="button" class="mid" disabled={cmd.busy} onClick={onBack}>{t('sign.again')}</button>
      </div>
      <p class="note"><b>{t('sign.free')}</b>{t('sign.free.sub')}</p>
    </section>
  );
}

function ByPhone({ c, d, a, speaker, nowUs, onBack }: PaperProps & { onBack: () => void }) {
  const { link, failed, renew } = useHandover({ c, nowUs });
  const say = t('sign.say', { code: spokenDigits(a.code) });
  useEffect(() => speaker.say(say), [say]);
  return (
    <section class="dp">
      <h2>{t('sign.title.phone')}<small>{t('code.label')} {showCode(a.code)}</small></h2>
      <div class="dp-handover">
        {link ? <Qr svg={link.qr_svg} label={t('sign.qr')} /> : <p class="qr wait">{t(failed ? 'sign.qr.missing' : 'sign.qr.wait')}</p>}
        <ol>
          <li>{t('sign.1')}<small>{t('sign.1.sub')}</small></li>
          <li>{t('sign.2')}<small>{t('sign.2.sub')}</small></li>
          <li>{t('sign.3')}<small>{t('sign.3.sub')}</small></li>
        </ol>
      </div>
      {link && <p class="note">{t('sign.typed')} {new URL(link.url, location.href).host} {t('sign.typed.code', { code: link.code })}</p>}
      <Track d={d} a={a} />
      <div class="dp-pair quiet">
        <button type="button" class="mid" onClick={renew}>{t('sign.qr.again')}</button>
        <button type="button" class="mid" onClick={onBack}>{t('sign.again')}</button>
      </div>
      <p class="note"><b>{t('sign.free')}</b>{t('sign.free.sub')}</p>
    </section>
  );
}

/** Track says who has signed, and that nothing is in force before the seal. */
export function Track({ d, a }: { d: MyDispute; a: PartyAgreement }) {
  const others = d.others || [];
  return (
    <ul class="dp-signers" aria-label={t('sign.who')}>
      <li class={d.me.signed_at ? 'yes' : 'now'}><span>{t('sign.you', { name: d.me.name })}</span><em>{d.me.signed_at ? t('sign.signed.at', { at: hourMinute(d.me.signed_at) }) : t('sign.you.wait')}</em></li>
      {others.map((o, i) => <li key={i} class={o.signed_at ? 'yes' : ''}><span>{o.name}</span><em>{o.signed_at ? t('sign.signed.at', { at: hourMinute(o.signed_at) }) : t('sign.other.wait')}</em></li>)}
      <li class={a.state === 'mediator_signed' || a.effective_at ? 'yes' : ''}><span>{t('sign.mediator', { name: d.mediator })}<small>{t('sign.mediator.sub')}</small></span><em>{a.state === 'mediator_signed' || a.effective_at ? t('sign.signed') : t('sign.mediator.wait')}</em></li>
      <li class={a.effective_at ? 'yes' : ''}><span>{t('sign.seal')}<small>{t('sign.seal.sub')}</small></span><em>{a.effective_at ? t('sign.signed') : t('sign.seal.wait')}</em></li>
    </ul>
  );
}

export function Signed({ d, a, speaker }: PaperProps) {
  useEffect(() => speaker.say(t('signed.say')), []);
  return (
    <section class="dp">
      <h2>{t('signed.title')}</h2>
      <p class="lead">{t('signed.sub')}</p>
      <Track d={d} a={a} />
    </section>
  );
}

export function OnPaper({ speaker }: PaperProps) {
  useEffect(() => speaker.say(t('paper.say')), []);
  return (
    <section class="dp">
      <h2>{t('paper.title')}</h2>
      <p class="lead">{t('paper.sub')}</p>
      <ol class="plain-steps"><li>{t('paper.1')}</li><li>{t('paper.2')}</li><li>{t('paper.3')}</li></ol>
    </section>
  );
}
