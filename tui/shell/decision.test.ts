import test from 'ava';
import { decide, type Use } from './decision.ts';

const server = 'https://tka.example';
const own = { server, session: 'alice-view', opened: true };
const shell: Use = { server, session: 'alice-view', phase: 'open', isLive: true };
const opening: Use = { server, session: undefined, phase: 'opening', isLive: true };

const cases: readonly [
  string,
  'revoke' | 'postpone' | RegExp,
  Partial<typeof own>,
  readonly Use[],
  (readonly string[])?,
][] = [
  ['that a shell opened and nothing else uses', 'revoke', {}, []],
  ['that was there before', /existed before/, { opened: false }, []],
  ['that was there before, whatever else uses it', /existed before/, { opened: false }, [shell], ['tka-demo']],
  ['that another shell uses', /another shell/, {}, [shell]],
  ['that a dead shell used', 'revoke', {}, [{ ...shell, isLive: false }]],
  ['that another has left', 'revoke', {}, [{ ...shell, phase: 'left', isLive: false }]],
  ['beside a shell of another session', 'revoke', {}, [{ ...shell, session: 'alice-edit' }]],
  ['beside a session of that name at another server', 'revoke', {}, [{ ...shell, server: 'https://other.example' }]],
  ['that a context uses', /the context tka-demo in your kubeconfig/, {}, [], ['tka-demo']],
  ['beside a shell that logs in at the server', 'postpone', {}, [opening]],
  ['beside a shell that logs in at another server', 'revoke', {}, [{ ...opening, server: 'https://other.example' }]],
  ['beside one that was killed while it logged in', 'revoke', {}, [{ ...opening, isLive: false }]],
  ['that is used, beside a shell that logs in', /another shell uses/, {}, [opening, shell]],
];
for (const [title, expected, changes, others, contexts = []] of cases) {
  const verb = { revoke: 'ends', postpone: 'is left to a later command' };
  test(`a session ${title}: ${expected instanceof RegExp ? 'stays active' : verb[expected]}`, (t) => {
    const decision = decide({ ...own, ...changes }, others, contexts);
    if (typeof expected === 'string') t.is(decision.action, expected);
    else t.regex(decision.action === 'keep' ? decision.because : decision.action, expected);
  });
}

test('a shell that uses the session by another name of the server keeps it', (t) => {
  const isSame = (one: string, other: string): boolean => [one, other].every((name) => name.endsWith('example'));
  const byOtherName = { ...shell, server: 'https://tka.tail.example' };
  t.is(decide(own, [byOtherName], [], isSame).action, 'keep');
  t.is(decide(own, [byOtherName], []).action, 'revoke');
});
