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
