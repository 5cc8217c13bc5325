// Numbers and places as people read them. Pure; instants are Unix microseconds, lengths are seconds unless named otherwise.
import { dayText, hourMinute, hourMinuteSecond } from '../core/clock';

const EAST = 8 * 3600_000; // one time for the whole country, as core/clock
const DAY = 86_400_000;
const pad = (n: number) => String(n).padStart(2, '0');

/** "8:12", "1:05:09": a length in seconds as a clock; never negative. */
export function stopwatch(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h > 0 ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
}

/** Share of a lease that is left, 1 at its start and 0 at its end. */
export function leaseShare(untilAt: number, leaseMs: number, nowAt: number): number {
  if (leaseMs <= 0) return 0;
  return Math.min(1, Math.max(0, (untilAt - nowAt) / 1000 / leaseMs));
}

/** A past instant as a person says it: 现在, 14:20, 昨天 14:20, 11月3日, 2025年11月3日. */
export function pastTime(at: number, nowAt: number): string {
  if (at <= 0) return '从来没有';
  if (nowAt - at < 90e6) return '刚才';
  const day = (us: number) => Math.floor((us / 1000 + EAST) / DAY);
  if (day(at) === day(nowAt)) return hourMinute(at);
  if (day(at) === day(nowAt) - 1) return `昨天 ${hourMinute(at)}`;
  const [date = ''] = dayText(at).split(' ');
  const year = (us: number) => new Date(us / 1000 + EAST).getUTCFullYear();
  return year(at) === year(nowAt) ? date : `${year(at)}年${date}`;
}

/** "3 分钟", "2 小时", "9 天": how long something has lasted. */
export function lasted(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} 秒`;
  if (s < 3600) return `${Math.floor(s / 60)} 分钟`;
  if (s < 86_400) return `${Math.floor(s / 3600)} 小时`;
  return `${Math.floor(s / 86_400)} 天`;
}

/** The last `n` levels of a place, nearest last: "萨力巴乡 · 示例村". */
export function placeLine(place: readonly string[], n = 2): string {
  return place.slice(-n).join(' · ');
}

/** "98.4 %" of `part` in `whole`; an empty whole has no rate. */
export function rate(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const r = (100 * part) / whole;
  return part >= whole ? '100 %' : `${Math.min(99.9, r).toFixed(1)} %`;
}

/** "18,412". */
export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** The claim code as it stands on a TV, "K7QM-2F4T": Crockford letters, upper case, look-alikes folded; at most 8. */
export function claimCode(typed: string): string {
  const s = typed.toUpperCase().replace(/[IL]/g, '1').replace(/O/g, '0').replace(/[^0-9A-HJKMNP-TV-Z]/g, '').slice(0, 8);
  return s.length > 4 ? `${s.slice(0, 4)}-${s.slice(4)}` : s;
}

/** "11月21日 周六 14:35:06". */
export const dateLine = (at: number): string => `${dayText(at)} ${hourMinuteSecond(at)}`;
