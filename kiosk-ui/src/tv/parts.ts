// Every screen behind home in one script of its own, so that home comes up before it (ui.md §16).
export { askMedia, MediaError, plugged, stopStream } from '../core/rtc/media';
export { openRoom } from '../core/rtc/room';
export { createLine } from './call/line';
export { Call, Leave, Suspended } from './call/call';
export { createCaptures } from './captures';
export { Category, Language } from './choose/choose';
export { createMatter } from './dispute/matter';
export { MatterScreen, Withdraw } from './dispute/screen';
export { Claim } from './claim/claim';
export { Help } from './help/help';
export { Laid } from './notice/laid';
export { Parked, Refused, Trouble, Unsupported } from './notice/stops';
export { Phone } from './phone/phone';
export { Bye, Rating } from './rating/rating';
export { Later, Ringing } from './ring/ring';
export { Cancel, Waiting } from './waiting/waiting';
