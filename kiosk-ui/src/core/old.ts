// Chromium 66 has neither globalThis nor queueMicrotask, and Preact needs both. Every light page imports this first.
const w = window as unknown as Record<string, unknown>;
if (typeof w.globalThis === 'undefined') w.globalThis = window;
if (typeof w.queueMicrotask === 'undefined') w.queueMicrotask = (f: () => void) => { void Promise.resolve().then(f); };
export {};
