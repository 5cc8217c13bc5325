import type { ReactNode } from 'react';
import { Icon, type IconName } from '../staff/icons';
import type { Call } from './call';
import type { Work } from './desk';
import type { Matter } from './dispute';
import type { Dispute } from './types';

/** What every part of the dispute pane works with. */
export type Parts = { work: Work; call: Call; m: Matter; d: Dispute };

export function Chip({ tone = '', children }: { tone?: string; children: ReactNode }) {
  return <span className={`tag ${tone}`}>{tone === 'g' && '✓ '}{children}</span>;
}

/** A heading inside the pane with what belongs to its right end. */
export function Head({ title, children }: { title: string; children?: ReactNode }) {
  return <div className="dhead"><b>{title}</b><span className="grow" />{children}</div>;
}

/** One sentence that explains why something waits or went wrong. */
export function Say({ tone, icon = 'warn', children }: { tone: 'y' | 'r' | 'g' | 't'; icon?: IconName; children: ReactNode }) {
  return <div className={`dsay ${tone}`} role={tone === 'r' ? 'alert' : 'status'}><Icon name={icon} size={16} /><span>{children}</span></div>;
}
