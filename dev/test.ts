/**
 * `npm test`: everything that must hold before a change lands, in order of what fails fastest.
 *
 * Runs each step to its end even if an earlier one failed, so that one run shows every failure, and ends with
 * the line `N passed, N failed` over all test runners and checks. Exit code 1 if anything failed.
 */
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface Step {
  readonly title: string;
  readonly script: string;
  /** Counts of a test runner's output; absent: the step is one check. */
  readonly count?: (output: string) => Counts;
}

const steps: readonly Step[] = [
  { title: 'types, engine, bundles', script: 'build' },
  { title: 'lint', script: 'lint' },
  { title: 'unit tests', script: 'test:unit', count: avaCounts },
  { title: 'engine tests', script: 'test:engine', count: goCounts },
  { title: 'end-to-end tests', script: 'test:e2e', count: avaCounts },
];

let passed = 0;
let failed = 0;
for (const step of steps) {
  const started = performance.now();
  console.log(`\n── ${step.title}`);
  const { code, output } = await run(step.script);
  const counts = step.count?.(output) ?? { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
  passed += counts.passed;
  // A runner that fails without counting (a crash, no test found) still counts as one.
  failed += code === 0 ? counts.failed : Math.max(counts.failed, 1);
  console.log(
    `── ${step.title}: ${code === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function run(script: string): Promise<{ code: number; output: string }> {
  const child = spawn('npm', ['run', '--silent', script], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    output += chunk.toString('utf8');
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => resolve(exit ?? 1));
  });
  return { code, output };
}

function avaCounts(output: string): Counts {
  return {
    passed: lastNumber(output, /(\d+) tests? passed/g),
    failed: lastNumber(output, /(\d+) tests? failed/g),
  };
}

function goCounts(output: string): Counts {
  return {
    passed: [...output.matchAll(/^\s*--- PASS/gm)].length,
    failed: [...output.matchAll(/^\s*--- FAIL/gm)].length,
  };
}

function lastNumber(output: string, pattern: RegExp): number {
  return Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);
}
