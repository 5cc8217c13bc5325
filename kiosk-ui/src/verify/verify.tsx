// The page behind the QR code of every signed paper: anybody drops files on it and is told, file by file, whether they
// are what was signed and sealed. Nobody signs in and nothing is kept.
import { useEffect, useRef, useState } from 'preact/hooks';
import { codeOf, hex, sha256, showCode } from '../agreement/digest';
import { type ApiError, asApiError, createApi } from '../core/api';
import { unb64url } from '../core/bytes';
import { dayText } from '../core/clock';
import { Icon } from '../light/icons';
import { added, type Answer, byFile, check, cleanDigest, type Finding, groups, type Issuer, type Said } from './check';
import { err, t } from './t';

const api = createApi();

type State = { at: 'idle' } | { at: 'busy' } | { at: 'done'; answer: Answer } | { at: 'failed'; error: ApiError };

export function VerifyPage({ digest: given }: { digest: string }) {
  const digest = cleanDigest(given);
  const [files, setFiles] = useState<File[]>([]);
  const [state, setState] = useState<State>({ at: 'idle' });
  const [over, setOver] = useState(false);
  const verdict = useRef<HTMLHeadingElement>(null);

  const take = (list: FileList | null | undefined) => {
    if (!list || list.length === 0) return;
    const more = Array.from(list);
    setFiles((have) => added(have, more));
    setState({ at: 'idle' });
  };
  const run = () => {
    if (state.at === 'busy' || files.length === 0) return;
    setState({ at: 'busy' });
    check(files, digest).then((answer) => setState({ at: 'done', answer }), (e) => setState({ at: 'failed', error: asApiError(e) }));
  };
  useEffect(() => {
    if (state.at === 'done' && verdict.current) verdict.current.focus({ preventScroll: false });
  }, [state]);

  return (
    <main class="vf">
      <header>
        <p class="mark" aria-hidden="true"><Icon name="scale" /></p>
        <div><h1>{t('vf.title')}</h1><p>{t('vf.lead')}</p></div>
      </header>
      {digest && <Digest digest={digest} />}
      <section class="box">
        <h2>{t('vf.files')}</h2>
        <label
          class={`drop${over ? ' over' : ''}`}
          onDragOver={(e) => { e.preventDefault(); setOver(true); }}
          onDragLeave={() => setOver(false)}
          onDrop={(e) => { e.preventDefault(); setOver(false); take(e.dataTransfer && e.dataTransfer.files); }}
        >
          <input class="sr" type="file" multiple onChange={(e) => { take(e.currentTarget.files); e.currentTarget.value = ''; }} />
          <span class="face"><b>{t('vf.drop')}</b><span>{t('vf.drop.sub')}</span></span>
        </label>
        {files.length > 0 && (
          <ul class="chosen">
            {files.map((f) => (
              <li key={`${f.name}${f.size}`}><span>{f.name}</span><button type="button" onClick={() => { setFiles(files.filter((x) => x !== f)); setState({ at: 'idle' }); }}>{t('vf.drop.one')}</button></li>
            ))}
          </ul>
        )}
        <button type="button" class="go" disabled={files.length === 0 || state.at === 'busy'} onClick={run}>{t(state.at === 'busy' ? 'vf.busy' : 'vf.go')}</button>
        {state.at === 'failed' && <p class="bad" role="alert"><b>{err(state.error.code).what}</b> {err(state.error.code).todo}</p>}
      </section>
      {state.at === 'done' && <Result answer={state.answer} head={verdict} />}
      <Issuers />
      <p class="foot">{t('vf.offline')}</p>
    </main>
  );
}

/** What the QR code alone tells: its six digits, and whether this place knows the agreement. */
function Digest({ digest }: { digest: string }) {
  const [said, setSaid] = useState<Finding[]>([]);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    check([], digest).then((a) => setSaid(a.findings || []), (e) => setError(asApiError(e)));
  }, [digest]);
  return (
    <section class="box digest" aria-live="polite">
      <h2>{t('vf.digest')}</h2>
      <p class="code">{showCode(codeOf(digest))}</p>
      {said.map((f) => <p key={f.code} class={`said ${f.ok ? 'yes' : 'no'}`}><i aria-hidden="true">{f.ok ? '✓' : '✕'}</i><span>{f.text || f.code}</span></p>)}
      {error && <p class="bad" role="alert"><b>{err(error.code).what}</b> {err(error.code).todo}</p>}
      <p>{t('vf.digest.do')}</p>
      <p class="mono">{groups(digest)}</p>
    </section>
  );
}

function Result({ answer, head }: { answer: Answer; head: { current: HTMLHeadingElement | null } }) {
  const said = byFile(answer.findings || []);
  return (
    <section class={`box result ${answer.ok ? 'yes' : 'no'}`} aria-live="polite">
      <h2 ref={head} tabIndex={-1}><i aria-hidden="true">{answer.ok ? '✓' : '✕'}</i>{t(answer.ok ? 'vf.yes' : 'vf.no')}</h2>
      <p>{t(answer.ok ? 'vf.yes.do' : 'vf.no.do')}</p>
      <ul>{said.map((s) => <FileSaid key={s.file} s={s} />)}</ul>
    </section>
  );
}

function FileSaid({ s }: { s: Said }) {
  return (
    <li class={s.ok ? 'yes' : 'no'}>
      <b>{s.file || t('vf.whole')}<em>{t(s.ok ? 'vf.file.yes' : 'vf.file.no')}</em></b>
      {s.lines.map((f, i) => <p key={i}><i aria-hidden="true">{f.ok ? '✓' : '✕'}</i><span>{f.text || f.code}</span></p>)}
    </li>
  );
}

type Print = Issuer & { print: string };

/** Who may seal, with fingerprints to compare with what the unit itself has published elsewhere. */
function Issuers() {
  const [list, setList] = useState<Print[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    const print = async (k: Issuer): Promise<Print> => ({ ...k, print: hex(await sha256(unb64url(k.pub) as Uint8Array<ArrayBuffer>)) });
    api.get<{ keys: Issuer[] | null }>('/verify/keys').then((a) => Promise.all((a.keys || []).map(print))).then(setList, (e) => setError(asApiError(e)));
  }, []);
  return (
    <section class="box issuers">
      <h2>{t('vf.issuers')}</h2>
      <p>{t('vf.issuers.do')}</p>
      {error && <p class="bad" role="alert"><b>{err(error.code).what}</b> {err(error.code).todo}</p>}
      {list && list.length === 0 && <p>{t('vf.issuers.none')}</p>}
      <ul>
        {(list || []).map((k) => (
          <li key={k.kid}>
            <b>{k.name || k.unit}</b>
            <span>{k.name ? `${k.unit} · ` : ''}{t(k.alg === 'sm2' ? 'vf.alg.sm2' : 'vf.alg.ed25519')} · {t(k.to_at === null ? 'vf.since' : 'vf.until', { from: date(k.from_at), to: k.to_at === null ? '' : date(k.to_at) })}</span>
            <span class="mono">{groups(k.print)}</span>
          </li>
        ))}
      </ul>
      <p><a href="/api/v1/verify/keys" download="keys.json">{t('vf.keys')}</a></p>
    </section>
  );
}

const date = (us: number): string => `${new Date(us / 1000 + 8 * 3600_000).getUTCFullYear()}年${dayText(us).split(' ')[0] || ''}`;
