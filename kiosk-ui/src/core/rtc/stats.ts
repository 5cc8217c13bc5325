// Counters of one connection, read every 2 s: does media flow, how far away is the node, how much is lost.

export interface Flow { bytesIn: number; bytesOut: number; rttMs: number | null; lost: number; received: number; decoded: number; decodeMs: number }

export async function readFlow(pc: RTCPeerConnection | null): Promise<Flow> {
  const f: Flow = { bytesIn: 0, bytesOut: 0, rttMs: null, lost: 0, received: 0, decoded: 0, decodeMs: 0 };
  if (!pc || pc.signalingState === 'closed') return f;
  const report = await pc.getStats();
  report.forEach((raw: unknown) => {
    const s = raw as Record<string, unknown>;
    const n = (k: string) => (typeof s[k] === 'number' ? (s[k] as number) : 0);
    switch (s.type) {
      case 'inbound-rtp':
        f.bytesIn += n('bytesReceived');
        f.lost += n('packetsLost');
        f.received += n('packetsReceived');
        f.decoded += n('framesDecoded');
        f.decodeMs += n('totalDecodeTime') * 1000;
        break;
      case 'outbound-rtp':
        f.bytesOut += n('bytesSent');
        break;
      case 'remote-inbound-rtp':
        f.lost += n('packetsLost');
        if (n('roundTripTime')) f.rttMs = Math.max(f.rttMs || 0, n('roundTripTime') * 1000);
        break;
      case 'candidate-pair':
        if (s.nominated && n('currentRoundTripTime')) f.rttMs = Math.max(f.rttMs || 0, n('currentRoundTripTime') * 1000);
        break;
    }
  });
  return f;
}

/** 'weak' when more than 5 % is lost or the way takes longer than 400 ms (ui.md §10). */
export function quality(rttMs: number | null, lossPct: number): 'good' | 'fair' | 'weak' {
  if (lossPct > 5 || (rttMs || 0) > 400) return 'weak';
  return lossPct > 2 || (rttMs || 0) > 200 ? 'fair' : 'good';
}
