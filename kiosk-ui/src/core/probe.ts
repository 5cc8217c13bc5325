// What this engine can do, asked of the engine itself and never of its name (ui.md §2.3).

export type Tier = 'A' | 'B' | 'C' | 'D';

export interface Features {
  crypto: boolean; rtc: boolean; camera: boolean; transceiver: boolean; restartIce: boolean; gap: boolean; secure: boolean;
}

export function probe(): Features {
  const pc = typeof RTCPeerConnection !== 'undefined' ? RTCPeerConnection.prototype : null;
  return {
    crypto: typeof crypto !== 'undefined' && !!crypto.subtle,
    rtc: !!pc,
    camera: !!(navigator.mediaDevices && navigator.mediaDevices.getUserMedia),
    transceiver: !!pc && 'addTransceiver' in pc,
    restartIce: !!pc && 'restartIce' in pc,
    gap: typeof CSS !== 'undefined' && CSS.supports('inset', '0'),
    secure: typeof isSecureContext === 'undefined' ? location.protocol === 'https:' : isSecureContext,
  };
}

export function tierOf(f: Features): Tier {
  if (!f.crypto || !f.rtc) return 'D';
  if (!f.transceiver) return 'C';
  return f.restartIce ? 'A' : 'B';
}

/** "Chrome 92" from the user agent, for the inventory only. */
export function engineName(ua: string = navigator.userAgent): string {
  const m = /(?:Chrome|Chromium|HeadlessChrome)\/(\d+)/.exec(ua) || /(Firefox)\/(\d+)/.exec(ua) || /Version\/(\d+).*Safari/.exec(ua);
  if (!m) return 'unknown';
  if (m[1] === 'Firefox') return `Firefox ${m[2]}`;
  return /Safari/.test(m[0]) ? `Safari ${m[1]}` : `Chrome ${m[1]}`;
}
