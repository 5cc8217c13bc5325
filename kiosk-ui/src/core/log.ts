// The page's own log: what the line, the situation and the commands did, in codes. No person's data: states and ids,
// never a word that somebody said, typed or was shown. Kept over reloads, the newest lines only.

export interface Log {
  note(word: string): void;
  /** Lines since an instant of the server's clock, oldest first, at most so many bytes: the newest stay. */
  text(sinceUs: number, maxBytes: number): string;
}

const most = 600;
const later = 1000;

export function createLog(key: string, nowUs: () => number): Log {
  let lines: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    lines = (localStorage.getItem(key) || '').split('\n').filter((l) => l !== '');
  } catch {
    // without storage it begins anew with each load
  }
  const keep = (): void => {
    timer = undefined;
    try {
      localStorage.setItem(key, lines.join('\n'));
    } catch {
      // the disk is full: the lines of this load are still there
    }
  };
  return {
    note(word) {
      lines.push(`${new Date(nowUs() / 1000).toISOString()} ${word.replace(/\s+/g, ' ').slice(0, 200)}`);
      if (lines.length > most) lines = lines.slice(-most);
      if (!timer) timer = setTimeout(keep, later);
    },
    text(sinceUs, maxBytes) {
      const since = new Date(sinceUs / 1000).toISOString();
      let out = '';
      for (let i = lines.length - 1; i >= 0 && lines[i]! >= since; i--) {
        const next = `${lines[i]!}\n${out}`;
        if (new TextEncoder().encode(next).length > maxBytes) break;
        out = next;
      }
      return out;
    },
  };
}
