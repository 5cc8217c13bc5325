// What only a dispute needs, in a script of its own.
export { openDispute, stepOf } from '../core/dispute';
export { DisputePanel } from '../light/dispute/panel';
