import { existsSync } from 'node:fs';
import { defineConfig } from 'vite';

// The pages for TV, kiosk, tablet and phone: one lowered bundle for Chromium 66 and newer (docs: ui.md §2).
// Both configurations write into the one folder embed/; `npm run clean` empties it first.
const pages = ['tv.html', 'kiosk.html', 'tablet.html', 'phone.html'].filter((p) => existsSync(p));

// Late scripts bring no styles of their own (scripts/check.mjs holds that), so a plain import() does; Vite's helper that
// fetches their styles first would be 0.8 kB of every page's first screen.
const plainImports = {
  name: 'heyi:plain-imports',
  enforce: 'pre' as const,
  load: (id: string) => (id.includes('vite/preload-helper') ? 'export const __vitePreload = (load) => load();' : null),
};

export default defineConfig({
  plugins: [plainImports],
  base: '/',
  publicDir: 'public',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { host: '127.0.0.1', proxy: { '/api': 'http://127.0.0.1:8080', '/ws': { target: 'ws://127.0.0.1:8080', ws: true } } },
  build: {
    outDir: 'embed',
    emptyOutDir: false,
    assetsDir: 'assets/light',
    assetsInlineLimit: 0,
    target: 'chrome66',
    cssTarget: 'chrome66',
    modulePreload: false,
    manifest: 'assets/light/manifest.json',
    reportCompressedSize: false,
    rolldownOptions: { input: pages },
  },
});
