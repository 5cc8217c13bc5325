import { existsSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The pages where people work all day: the mediator's desk and the operators' console (React, antd).
const pages = ['desk.html', 'console.html'].filter((p) => existsSync(p));

export default defineConfig({
  base: '/',
  publicDir: false,
  plugins: [react()],
  server: { host: '127.0.0.1', proxy: { '/api': 'http://127.0.0.1:8080', '/ws': { target: 'ws://127.0.0.1:8080', ws: true } } },
  build: {
    outDir: 'embed',
    emptyOutDir: false,
    assetsDir: 'assets/desk',
    assetsInlineLimit: 0,
    target: 'chrome107',
    manifest: 'assets/desk/manifest.json',
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
    rolldownOptions: { input: pages },
  },
});
