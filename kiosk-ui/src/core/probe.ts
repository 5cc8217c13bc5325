// The name of this engine. What it can do is asked of the engine itself, in tier.ts, which only late scripts need.
export * from './tier';

/** "Chrome 92" from the user agent, for the inventory only. */
export function engineName(ua: string = navigator.userAgent): string {
  const m = /(?:Chrome|Chromium|HeadlessChrome)\/(\d+)/.exec(ua) || /(Firefox)\/(\d+)/.exec(ua) || /Version\/(\d+).*Safari/.exec(ua);
  if (!m) return 'unknown';
  if (m[1] === 'Firefox') return `Firefox ${m[2]}`;
  return /Safari/.test(m[0]) ? `Safari ${m[1]}` : `Chrome ${m[1]}`;
}
