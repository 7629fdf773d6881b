// Node strips the types itself, so tests run on the sources as they are; only JSX has to be translated.
export default {
  extensions: ['ts', 'tsx'],
  files: ['{crd,reconciler,node,tui,dev,e2e}/**/*.test.{ts,tsx}'],
  nodeArguments: ['--import=./dev/load-tsx.ts'],
  workerThreads: false,
  timeout: '60s',
};
