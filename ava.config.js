// Node strips the types itself, so tests run on the sources as they are.
export default {
  extensions: ['ts'],
  files: ['{crd,reconciler,node,tui,dev,e2e}/**/*.test.ts'],
  workerThreads: false,
  timeout: '60s',
};
