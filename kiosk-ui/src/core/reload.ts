// A terminal has nobody who presses F5: a reload that no server answers would leave it on the browser's error page. So
// whoever reloads a page asks first.

const AGAIN_MS = 5000;
const ASK_MS = 10_000;
const MINUTE = 60_000;
const mark = 'heyi.reloaded';

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

/** Once more within a minute does not help. */
function justReloaded(): boolean {
  try {
    return Date.now() - Number(sessionStorage.getItem(mark) || 0) < MINUTE;
  } catch {
    return performance.now() < MINUTE; // nobody remembers: counted from this page's beginning
  }
}

let asking = false;

/** For a page that is too old: reloads when answered, at most once a minute. Cheap to call often. */
export function reloadOld(): void {
  if (asking || justReloaded()) return;
  asking = true;
  reloadWhenAnswered(() => {
    try {
      sessionStorage.setItem(mark, String(Date.now()));
    } catch {
      // as above
    }
    location.reload();
  });
}
