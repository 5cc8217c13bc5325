// The native shell of a box, if there is one (docs/box-bridge.md). Absent = plain browser.

export interface HeyiBox {
  info(): Promise<{ ver: string; model: string; engine: string; keyStore: 'hardware' | 'os' | 'soft' }>;
  speak?(text: string, lang: string): Promise<void>;
  hush?(): void;
  keepOn?(on: boolean): void;
  /** Restarts the box. */
  reboot?(): Promise<void>;
}

export const shell = (): HeyiBox | null => (window as unknown as { HeyiBox?: HeyiBox }).HeyiBox || null;
