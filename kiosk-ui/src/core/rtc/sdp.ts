// The little of SDP that the page reads itself, so that Chromium 66 (no transceivers) finds its tracks as well.

/** Session id of the o= line (RFC 8866 §5.2): another one means another connection on the server's side. */
export const sessionId = (sdp: string): string => (/^o=\S+ (\S+)/m.exec(sdp) || [])[1] || '';

/** mid -> track id of the msid lines. */
export function trackIds(sdp: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const part of sdp.split(/^m=/m).slice(1)) {
    const mid = (/^a=mid:(\S+)/m.exec(part) || [])[1];
    const id = (/^a=msid:\S+ (\S+)/m.exec(part) || [])[1];
    if (mid !== undefined && id) out.set(mid, id);
  }
  return out;
}
