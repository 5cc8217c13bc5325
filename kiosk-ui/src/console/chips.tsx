import type { DeviceRow } from '../core/types';
import { t, word } from './t';

/** Icon, word and colour of a chip always come together (fleet.md §11). */
export const CHIPS = ['online', 'suspect', 'offline', 'lost', 'quarantined', 'pending', 'disabled', 'retired'] as const;
export type ChipName = (typeof CHIPS)[number];

const LOOK: Record<ChipName, { icon: string; tone: string }> = {
  online: { icon: '●', tone: 'g' },
  suspect: { icon: '↻', tone: 'b' },
  offline: { icon: '✕', tone: 'r' },
  lost: { icon: '■', tone: 'k' },
  quarantined: { icon: '◆', tone: 'bk' },
  pending: { icon: '○', tone: 'vi' },
  disabled: { icon: '◌', tone: '' },
  retired: { icon: '–', tone: '' },
};

const known = (chip: string): chip is ChipName => CHIPS.some((c) => c === chip);

/** The chip of a device; a home box that is off is grey, a public one red: only the second is a fault. */
export function Chip({ chip, klass = 'public' }: { chip: string; klass?: string }) {
  if (!known(chip)) return <span className="tag">{chip}</span>;
  const { icon, tone } = LOOK[chip];
  const calm = chip === 'offline' && klass !== 'public';
  return <span className={`tag ${calm ? '' : tone}${chip === 'suspect' ? ' beat' : ''}`}>{icon} {word('chip', chip)}</span>;
}

/** The second word: can it serve anybody now. */
export function Use({ row }: { row: Pick<DeviceRow, 'chip' | 'use'> }) {
  if (row.chip === 'suspect') return <span className="biz mid2">{t('use.suspect')}</span>;
  if (row.chip !== 'online') return <span className="biz no">{t('use.off')}</span>;
  const kind = row.use === 'in_session' ? 'use' : row.use === 'waiting' ? 'mid2' : 'yes';
  return <span className={`biz ${kind}`}>{word('use', row.use)}</span>;
}

/** Every chip with its definition, for the header of its column. */
export function ChipDefs() {
  return <ul className="defs">{CHIPS.map((c) => <li key={c}><Chip chip={c} /><span>{word('def', c)}</span></li>)}</ul>;
}

export function Simulated({ on }: { on: boolean }) {
  return on ? <span className="tag vi sim" title={t('simulated.tip')}>{t('simulated')}</span> : null;
}
