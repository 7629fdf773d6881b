/**
 * What a credential is worth in other hands: in somebody else's, on another machine, at another door. All that is refused is
 * refused in the same words, so that nobody learns which sessions there are.
 */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { policyOf } from '../../dev/stack/policy.ts';
import type { Rule } from '../../dev/stack/policy.ts';
import { send } from '../../dev/stack/send.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';
import { Person } from '../person.ts';
import { Caller } from './caller.ts';

export interface People {
  readonly alice: string;
  readonly bob: string;
  readonly rules: Readonly<Record<string, readonly Rule[]>>;
}

const path = '/api/v1/namespaces/default/configmaps';

export function stolenCredentials(stackOf: () => Stack, { alice, bob, rules }: People): void {
  test.serial("a kubeconfig and cache copied to somebody else's machine open nothing", async (t) => {
    const stack = stackOf();
    const victim = new Person(stack, alice);
    // A role that the thief has too: it is the person that differs.
    await victim.login('--mode', 'proxy', '--use', '--role', 'view');
    t.is((await victim.kubectl('get', 'namespaces')).code, 0);
    const [from, to] = [stack.machine(alice).home, join(stack.machine(bob).home, 'stolen')];
    for (const dir of ['.kube', '.cache']) await cp(join(from, dir), join(to, dir), { recursive: true });
    const env = { HOME: to, KUBECONFIG: join(to, '.kube', 'config') };
    // The entry names the owner's own way into the tailnet: the thief replaces it by theirs.
    const stolen = await readFile(env.KUBECONFIG, 'utf8');
    t.true(stolen.includes(`proxy-url: ${stack.machine(alice).proxy}`));
    await writeFile(env.KUBECONFIG, stolen.replaceAll(stack.machine(alice).proxy, stack.machine(bob).proxy));
    const { code, stdout, stderr } = await stack.runAs(bob, 'kubectl', ['get', 'namespaces'], { env });
    t.is(code, 1);
    t.is(stdout, '');
    t.regex(stderr, /Unauthorized|must be logged in|session has ended or is not yours/);
    t.is((await victim.kubectl('get', 'namespaces')).code, 0, 'and the one whose it is goes on');
  });

  test.serial('whatever token does not belong to caller and session is refused in the same words', async (t) => {
    const stack = stackOf();
    const [admin, viewer] = [Caller.of(stack, alice), Caller.of(stack, bob)];
    const [hers, his] = await Promise.all([admin.login({ role: 'view' }), viewer.login()]);
    const key = /_([0-9a-f]{32})$/.exec(his.token)?.[1] ?? '';
    const account = await viewer.api(`/api/v1alpha1/kubeconfig?mode=direct&session=${his.session}`, {
      headers: { accept: 'application/json' },
    });
    const direct: string = JSON.parse(account.body).users[0].user.token;
    t.regex(direct, /^eyJ/);
    const flipped = `${his.token.slice(0, -1)}${his.token.endsWith('0') ? '1' : '0'}`;
    const corpus: Readonly<Record<string, string | undefined>> = {
      'of somebody else': `Bearer ${hers.token}`,
      'of no session': `Bearer tka_nobody_${key}`,
      'with a wrong key': `Bearer ${flipped}`,
      "with another session's key": `Bearer tka_${hers.session}_${key}`,
      'in capitals': `Bearer ${his.token.toUpperCase()}`,
      "the account's own": `Bearer ${direct}`,
      'by Basic': `Basic ${Buffer.from(`x:${his.token}`).toString('base64')}`,
      none: undefined,
    };
    const bodies = new Set<string>();
    for (const [title, authorization] of Object.entries(corpus)) {
      const headers = authorization === undefined ? {} : { authorization };
      const { status, body } = await viewer.ask(his, path, { headers });
      t.is(status, 401, title);
      bodies.add(body);
    }
    t.is(bodies.size, 1, [...bodies].join('\n'));
    t.like(JSON.parse([...bodies][0] ?? ''), { kind: 'Status', code: 401, reason: 'Unauthorized' });
    t.is((await viewer.ask(his, path)).status, 200, 'the right one goes on being right');

    const atTheApiServer = await send(`${stack.kubernetes.url}${path}`, {
      caFile: stack.caFile,
      headers: { authorization: `Bearer ${his.token}` },
    });
    t.is(atTheApiServer.status, 401, 'it opens nothing but tka');
  });

  test.serial("another machine of the same person needs that machine's own grant", async (t) => {
    t.timeout(90_000);
    const stack = stackOf();
    const first = Caller.of(stack, alice);
    const second = new Caller(stack, await stack.addUser(alice));
    const entry = await first.login({ role: 'view' });
    t.is((await second.ask(entry, path)).status, 200, 'the grant is hers on every machine');

    const { [alice]: granted = [], ...others } = rules;
    await stack.policy.write(policyOf({ ...others, [first.machine.ip]: granted }));
    t.teardown(() => stack.policy.write(policyOf(rules)));
    const refused = await until(
      async () => {
        const answer = await second.ask(entry, path);
        return answer.status === 401 && answer;
      },
      { what: 'the second machine to be refused', timeoutMs: 20_000, everyMs: 250 },
    );
    t.regex(refused.body, /session has ended or is not yours/);
    t.is((await first.ask(entry, path)).status, 200, 'the session goes on where it is granted');
    t.is((await second.api('/api/v1alpha1/login', { method: 'POST' })).status, 403);
  });
}
