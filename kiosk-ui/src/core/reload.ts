// A terminal has nobody who presses F5: a reload that no server answers would leave it on the browser's error page. So
// whoever reloads a page asks first.

const AGAIN_MS = 5000;
const ASK_MS = 10_000;
const MINUTE = 60_000;

/** Does a server answer for this page now? */
export async function answered(): Promise<boolean> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ASK_MS);
  try {
    return (await fetch(location.href, { cache: 'no-store', signal: abort.signal })).ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Loads the page anew (or does `go`) as soon as a server answers for it. */
export function reloadWhenAnswered(go: () => void = () => location.reload()): void {
  void answered().then((yes) => {
    if (yes) go();
    else setTimeout(() => reloadWhenAnswered(go), AGAIN_MS);
  });
}

let asking = false;

/** For a page that the server calls too old: at most once a minute, counted from the page's own beginning. Cheap to call often. */
export function reloadOld(): void {
  if (asking || performance.now() < MINUTE) return;
  asking = true;
  reloadWhenAnswered();
}
