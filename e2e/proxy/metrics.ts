/**
 * What a real server exposes after people have used it: every metric of docs/metrics.md with a sample, in a form that is read and
 * linted, and nobody's name in any of it.
 */
import test from 'ava';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';
import { metricNames } from '../../node/observability/metrics/definitions.ts';
import { lintExposition, parseExposition } from '../../node/testing/exposition.ts';
import type { Family } from '../../node/testing/exposition.ts';
import { Caller } from './caller.ts';

export function whatIsCounted(stackOf: () => Stack, user: string): void {
  const scraped = async (): Promise<readonly Family[]> => {
    const answer = await fetch(`${stackOf().tka.health}/metrics`);
    if (answer.status !== 200) throw new Error(`/metrics: ${answer.status}`);
    return parseExposition(await answer.text());
  };
  const valueOf = (families: readonly Family[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
    families
      .flatMap(({ samples }) => samples)
      .filter((sample) => sample.name === name)
      .find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))?.value ??
    Number.NaN;

  test.serial('every metric that is documented has a sample on a server in use, in good form', async (t) => {
    const caller = Caller.of(stackOf(), user);
    const entry = await caller.login();
    t.is((await caller.ask(entry, '/api/v1/namespaces/default/configmaps')).status, 200);
    const families = await scraped();
    // The node is tagged, so that its key does not expire.
    const expected = metricNames.filter((name) => name !== 'tka_node_key_expiry_seconds').toSorted();
    const own = families.filter(({ name }) => name.startsWith('tka_'));
    t.deepEqual(own.flatMap(({ name, samples }) => (samples.length === 0 ? [] : [name])).sort(), expected);
    t.deepEqual(lintExposition(own), []);
  });

  test.serial('what the metrics say of a running server is true', async (t) => {
    const caller = Caller.of(stackOf(), user);
    const before = await scraped();
    const entry = await caller.login();
    await caller.ask(entry, '/api/v1/namespaces/default/configmaps');
    const riseIn = (after: readonly Family[], name: string, labels: Readonly<Record<string, string>>): number => {
      const [now, then] = [valueOf(after, name, labels), valueOf(before, name, labels)];
      return now - (Number.isNaN(then) ? 0 : then);
    };
    // A request is counted when it has ended, which its caller may hear of first.
    const after = await until(
      async () => {
        const families = await scraped();
        return riseIn(families, 'tka_proxy_seconds_count', { verb: 'list', code: '2xx' }) >= 1 && families;
      },
      { what: 'the request in the metrics', timeoutMs: 5000 },
    );
    const rise = (name: string, labels: Readonly<Record<string, string>>): number => riseIn(after, name, labels);
    t.is(rise('tka_login_total', { result: 'accepted', reason: 'ok' }), 1);
    t.is(rise('tka_login_seconds_count', { stage: 'usable' }), 1);
    t.true(rise('tka_proxy_bytes_total', { direction: 'out' }) > 0);
    t.is(valueOf(after, 'tka_sessions', { role: 'view', phase: 'ready' }), 1);
    for (const name of ['tka_ready', 'tka_leader', 'tka_engine_up']) t.is(valueOf(after, name), 1, name);
    for (const name of ['tka_netmap_age_seconds', 'tka_relist_age_seconds', 'tka_watch_last_event_age_seconds']) {
      const age = valueOf(after, name);
      t.true(age >= 0 && age < 150, `${name} ${age}`);
    }
    const days = valueOf(after, 'tka_cert_expiry_seconds') / 86_400;
    t.true(days > 10 && days <= 30, `a certificate for ${days} days`);
  });

  test.serial('no label names a person, a machine or an address', async (t) => {
    const stack = stackOf();
    const { hostname } = stack.machine(user);
    const forbidden = [user, user.split('@', 1)[0] ?? user, hostname, stack.tka.ip, '@', '|user:', '|node:'];
    for (const { name, labels } of (await scraped()).flatMap(({ samples }) => samples)) {
      for (const value of Object.values(labels)) {
        t.false(
          forbidden.some((word) => value.includes(word)),
          `${name} ${JSON.stringify(labels)}`,
        );
      }
    }
  });
}
