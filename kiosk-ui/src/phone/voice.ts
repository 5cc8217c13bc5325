import { createSpeaker } from '../core/speak';

/** The one voice of the phone page. */
export const speaker = createSpeaker();
