/**
 * Which requests are for the Kubernetes API. The engine's tests read the same file, so that the two cannot choose differently; what
 * becomes of such requests is in root.test.ts.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import * as z from 'zod';
import { paths } from '../http/contract.ts';
import { isForKubernetes, kubernetesRequests } from './classify.ts';

const file = new URL('../tsnet/engine/testdata/matched.json', import.meta.url);
const corpus = z
  .object({
    match: z.unknown(),
    requests: z
      .array(z.object({ target: z.string(), authorization: z.array(z.string()), matches: z.boolean() }))
      .min(50),
  })
  .parse(JSON.parse(readFileSync(file, 'utf8')));

test('the corpus is about the rules that the engine is given', (t) => {
  t.deepEqual(corpus.match, kubernetesRequests);
});

for (const { target, authorization, matches } of corpus.requests) {
  test(`${target} with ${JSON.stringify(authorization)} is ${matches ? '' : 'not '}for the Kubernetes API`, (t) => {
    const rawHeaders = ['Host', 'tka', ...authorization.flatMap((value) => ['Authorization', value])];
    t.is(isForKubernetes({ url: target, rawHeaders }), matches);
  });
}

for (const path of Object.values(paths)) {
  test(`${path} is tka's own without a token, the Kubernetes API's with one`, (t) => {
    t.false(isForKubernetes({ url: path, rawHeaders: ['Host', 'tka'] }));
    t.true(isForKubernetes({ url: path, rawHeaders: ['Authorization', 'Bearer tka_a_b'] }));
  });
}

for (const name of ['Proxy-Authorization', 'X-Authorization', 'Authorization_', 'Authorizatio', 'Bearer tka_a_b']) {
  test(`a token in the header ${name} does not count`, (t) => {
    t.false(isForKubernetes({ url: '/', rawHeaders: [name, 'Bearer tka_a_b', 'X-Y', 'authorization'] }));
  });
}
