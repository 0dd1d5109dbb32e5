import { defineConfig } from 'vite';

// Everything becomes a file of its own beside index.html: the server's content security policy allows
// neither inline script nor inline style, and no request may leave the machine.
export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': process.env.SKYLINE ?? 'http://127.0.0.1:7744' } },
});
