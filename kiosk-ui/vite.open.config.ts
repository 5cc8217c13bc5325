import { defineConfig } from 'vite';

// The pages that anybody opens without a terminal: the check of papers and the demo phone. The same engines as the
// light pages, but a build of their own: shared with the TV, they would cut its first download into more pieces.
export default defineConfig({
  base: '/',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { host: '127.0.0.1', proxy: { '/api': 'http://127.0.0.1:8080' } },
  build: {
    outDir: 'embed',
    emptyOutDir: false,
    assetsDir: 'assets/open',
    assetsInlineLimit: 0,
    target: 'chrome66',
    cssTarget: 'chrome66',
    modulePreload: false,
    manifest: 'assets/open/manifest.json',
    reportCompressedSize: false,
    rolldownOptions: { input: ['verify.html', 'texts.html'] },
  },
});
