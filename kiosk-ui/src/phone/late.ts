// What only a dispute needs, in a script of its own: the party's fact and its screens, and the pages of /join and /s.
export { openDispute, stepOf } from '../core/dispute';
export { DisputePanel } from '../light/dispute/panel';
export { Door } from './party/door';
