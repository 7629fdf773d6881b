import test from 'ava';
import type { Finding } from './check.ts';
import { countRights } from './access-checks.ts';
import { compareVersions, judgeClock } from './server-checks.ts';

const versions: readonly (readonly [string, string, readonly string[] | undefined, Finding['state'], RegExp])[] = [
  ['1.2.0', '1.9.3', undefined, 'ok', /command 1\.2\.0, server 1\.9\.3/],
  ['dev', '1.0.0', undefined, 'ok', /dev/],
  ['0.3.1', '0.3.9', ['v1alpha1'], 'ok', /0\.3/],
  ['0.3.1', '0.4.0', undefined, 'warning', /may be incompatible/],
  ['1.0.0', '2.0.0', undefined, 'warning', /may be incompatible/],
  ['2.0.0', 'v1.4.0', undefined, 'warning', /may be incompatible/],
  ['1.0.0', '3.0.0', ['v1'], 'failed', /no longer speaks v1alpha1/],
];
for (const [own, server, api, state, finding] of versions) {
  test(`command ${own} and server ${server}, which speaks ${api?.join() ?? 'as all did'}: ${state}`, (t) => {
    const found = compareVersions(own, server, api);
    t.is(found.state, state);
    t.regex(found.finding, finding);
  });
}

test('the one to update is the older', (t) => {
  t.like(compareVersions('1.0.0', '2.0.0'), { remedy: ['Update the command.'] });
  t.like(compareVersions('0.4.0', '0.3.0'), { remedy: ['Update the server.'] });
});

const clocks: readonly (readonly [number, Finding['state'], RegExp])[] = [
  [0, 'ok', /agree/],
  [-5000, 'ok', /agree/],
  [5001, 'warning', /5s behind/],
  [-60_000, 'warning', /1m ahead of/],
  [60_001, 'failed', /behind/],
  [-7_200_000, 'failed', /2h00m ahead of/],
];
for (const [skewMs, state, finding] of clocks) {
  test(`a server ${skewMs} ms ahead: ${state}`, (t) => {
    const found = judgeClock(skewMs);
    t.is(found.state, state);
    t.regex(found.finding, finding);
  });
}

const basics = [{ apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'] }];
const reviews: readonly (readonly [string, number | undefined])[] = [
  [JSON.stringify({ status: { resourceRules: basics } }), 0],
  [JSON.stringify({ status: { resourceRules: [...basics, { apiGroups: [''] }, { apiGroups: ['apps'] }] } }), 2],
  [JSON.stringify({ status: {} }), undefined],
  ['Unable to connect', undefined],
];
for (const [text, rights] of reviews) {
  test(`${text.slice(0, 40)}… grants ${rights ?? 'an unknown number of'} rules`, (t) => {
    t.is(countRights(text), rights);
  });
}
