/**
 * What web pages can do to somebody who is on the tailnet, in a real browser on that machine: call the API from another origin
 * or by a name that leads to tka, ride a session, run as a page of the cluster. Each is looked at from both sides: what the
 * page got, and what became of it at the server.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Stack } from '../../dev/stack/stack.ts';
import type { StandIn } from '../../dev/stack/stand-in.ts';
import { until } from '../../dev/stack/until.ts';
import { Caller } from '../proxy/caller.ts';
import { logOf } from '../proxy/server-log.ts';
import { Chromium, findBrowser } from './chromium.ts';
import type { Page } from './chromium.ts';
import { Names } from './names.ts';
import { ownAddress } from './own-address.ts';
import { Site } from './site.ts';

interface Ground {
  readonly stack: Stack;
  readonly caller: Caller;
  /** `tka.tail.test`. */
  readonly host: string;
  readonly names: Names;
  /** `http://evil.example` and every port of it. */
  readonly evil: Site;
  readonly page: Page;
}

/** `user`: whose machine the browser runs on. `standIn`: a node for a pod that serves pages. */
export function browserAttacks(stackOf: () => Stack, user: string, standIn: () => StandIn): void {
  const program = findBrowser();
  if (program === undefined) {
    test.skip('a browser attacks tka: no browser', (t) => t.pass());
    return;
  }
  let opened: { readonly ground: Ground; close(): Promise<void> } | undefined;
  const open = async (): Promise<Ground> => {
    opened ??= await openBrowser(program, stackOf(), user);
    // Nothing of the test before: its page, its cookies, its headers.
    const { page } = opened.ground;
    await page.send('Network.setExtraHTTPHeaders', { headers: {} });
    await page.open('http://evil.example/');
    return opened.ground;
  };
  test.after.always(() => opened?.close());

  test.serial('a browser on the tailnet reaches tka, and a page of another origin reads nothing of it', async (t) => {
    const { page, host } = await open();
    for (const scheme of ['http', 'https']) {
      for (const path of ['/.well-known/tka', '/api/v1alpha1/whoami', '/api/v1alpha1/kubeconfig']) {
        t.regex(String(await page.run(fetching(`${scheme}://${host}${path}`))), /^TypeError/);
        const loading = `new Promise((resolve) => {
          const script = document.createElement('script');
          script.src = '${scheme}://${host}${path}';
          script.onload = () => resolve('loaded');
          script.onerror = () => resolve('refused');
          document.head.append(script);
        })`;
        t.is(await page.run(loading), 'refused', `${scheme} ${path}`);
      }
    }
    // So that the above is not for want of a way: what the person types in leads there.
    await page.open(`http://${host}/.well-known/tka`);
    t.regex(String(await page.run('document.body.innerText')), /"cluster"/);
  });

  test.serial('a page of another origin neither logs in nor out', async (t) => {
    const { page, host, stack, caller } = await open();
    for (const state of ['logged out', 'logged in']) {
      if (state === 'logged in') await caller.login({ role: 'view' });
      const before = await sessionsOf(stack);
      t.is(before === '', state === 'logged out');
      for (const scheme of ['http', 'https']) {
        for (const call of ['login', 'logout']) {
          const url = `${scheme}://${host}/api/v1alpha1/${call}`;
          const since = Date.now();
          t.regex(String(await page.run(fetching(url, { method: 'POST' }))), /^TypeError/);
          const blind = { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"role":"cluster-admin"}' };
          t.regex(String(await page.run(fetching(url, blind))), /^TypeError/, 'not even that there was an answer');
          const asJson = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
          t.regex(String(await page.run(fetching(url, asJson))), /^TypeError/, 'there is no answer to a preflight');
          t.true(await page.run(`navigator.sendBeacon('${url}', new Blob(['{}'], { type: 'text/plain' }))`));
          await refusals(stack, since, 4);
          t.is(await sessionsOf(stack), before, `${url}, ${state}`);

          const loaded = page.loaded();
          await page.run(`document.body.innerHTML = '<form method=post enctype=text/plain action="${url}"><input name="{}">';
            document.forms[0].submit();`);
          await loaded;
          t.regex(String(await page.run('document.body.innerText')), /web pages of other origins/);
          t.is(await sessionsOf(stack), before, `a form to ${url}, ${state}`);
          await page.open('http://evil.example/');
        }
      }
    }
  });

  test.serial('a name that comes to mean tka while its page is open gets 421, and no session', async (t) => {
    const { page, names, evil, stack } = await open();
    const machine = stack.machine(user);
    for (const scheme of ['http', 'https']) {
      names.lead('rebound.example', evil.place);
      t.is(await page.open(`${scheme}://rebound.example/`), undefined);
      names.lead('rebound.example', (port) => machine.connect(stack.tka.ip, port));
      // The connection of before would lead to where the page came from.
      evil.hangUp();
      for (const [path, options] of [
        ['/api/v1alpha1/whoami', {}],
        ['/api/v1alpha1/login', { method: 'POST' }],
        ['/k8s/version', { headers: { authorization: 'Bearer tka_a_b' } }],
        ['/version', { headers: { authorization: 'Bearer tka_a_b' } }],
      ] as const) {
        const answer = String(await page.run(fetching(path, options)));
        t.regex(answer, /^basic 421 .*has no such name/s, `${scheme} ${path}`);
      }
    }
    t.is(await sessionsOf(stack), '');
  });

  for (const prefix of ['', '/k8s'])
    test.serial(
      `a page cannot ride a session at ${prefix || 'the root'}: no frame, no websocket, not with the token either`,
      async (t) => {
        const { page, host, stack, caller } = await open();
        const entry = await caller.login();
        const url = `https://${host}${prefix}/version`;
        const framing = `new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.src = '${url}';
        frame.onload = () => { try { resolve(frame.contentDocument?.body?.innerText ?? 'unreadable'); } catch { resolve('unreadable'); } };
        document.body.append(frame);
      })`;
        t.is(await page.run(framing), 'unreadable');
        await page.open(url);
        t.regex(String(await page.run('document.body.innerText')), /"code":401|"code": 401/);
        await page.open('http://evil.example/');
        const withToken = { headers: { authorization: `Bearer ${entry.token}` } };
        t.regex(String(await page.run(fetching(url, withToken))), /^TypeError/);

        const since = Date.now();
        const exec = `wss://${host}${prefix}/api/v1/namespaces/default/pods/pod/exec?command=cat&stdin=true&stdout=true`;
        const bearer = `base64url.bearer.authorization.k8s.io.${Buffer.from(entry.token).toString('base64url')}`;
        for (const protocols of [['v5.channel.k8s.io'], ['v5.channel.k8s.io', bearer]]) {
          const connecting = `new Promise((resolve) => {
          const socket = new WebSocket('${exec}', ${JSON.stringify(protocols)});
          socket.onopen = () => resolve('open');
          socket.onclose = ({ code }) => resolve('closed ' + code);
        })`;
          t.is(await page.run(connecting), 'closed 1006');
        }
        await refusals(stack, since, 2);
        t.deepEqual(
          logOf(stack, since).filter(({ event, result }) => event === 'k8s' && result !== 'refused'),
          [],
        );
        t.is((await caller.ask(entry, '/version')).status, 200, 'and the session still works');
      },
    );

  const address = ownAddress();
  const [withAddress, why] =
    address === undefined ? [test.serial.skip, ': no address but loopback'] : [test.serial, ''];
  withAddress(
    `a page that a pod serves through tka runs nothing, keeps nothing and leaks no address${why}`,
    async (t) => {
      if (address === undefined) return;
      const { page, host, names, evil, caller } = await open();
      const pod = await Site.serve({
        address,
        resources: {
          '/': {
            headers: {
              'set-cookie': 'stolen=1; Path=/',
              'content-security-policy': 'sandbox allow-scripts allow-same-origin',
              'referrer-policy': 'unsafe-url',
              'access-control-allow-origin': '*',
            },
            body: `<!doctype html><title>still</title><script>document.title = 'ran';</script>
            <img src="https://evil.example/seen"><form method=post action="https://evil.example/sent"></form>
            <svg onload="document.title = 'ran'"></svg><a href="javascript:document.title = 'ran'">x</a>`,
          },
          '/plain': {
            headers: { 'content-type': 'text/plain' },
            body: '<!doctype html><script>document.title = "ran";</script>',
          },
        },
      });
      t.teardown(() => pod.close());
      names.lead('pod.example', pod.place);
      await page.open('http://pod.example/');
      t.is(await page.run('document.title'), 'ran', 'it is a page that would');

      await standIn().addPod('pages', address);
      const entry = await caller.login();
      // A person, or a tool in the browser, that sends the token along.
      await page.send('Network.setExtraHTTPHeaders', { headers: { authorization: `Bearer ${entry.token}` } });
      evil.asked.length = 0;
      const proxied = `https://${host}/k8s/api/v1/namespaces/default/pods/pages:${pod.port}/proxy`;
      await page.open(`${proxied}/`);
      t.is(await page.run('document.title'), 'still');
      t.is(await page.run('self.origin'), 'null');
      await page.run('document.querySelector("a").click(); document.forms[0].submit();');
      t.is(await page.run('document.title'), 'still');
      const seen = evil.asked.find(({ url }) => url === '/seen');
      t.truthy(seen, 'its picture was fetched');
      t.is(seen?.headers.referer, undefined);
      const { cookies } = await page.send('Network.getCookies', { urls: [`${proxied}/`] });
      t.deepEqual(cookies, []);

      await page.open(`${proxied}/plain`);
      t.is(await page.run('document.contentType'), 'text/plain');
      t.regex(String(await page.run('document.body.innerText')), /<script>/);
      t.is(
        evil.asked.find(({ url }) => url === '/sent'),
        undefined,
      );
    },
  );
}

async function openBrowser(
  program: string,
  stack: Stack,
  user: string,
): Promise<{ readonly ground: Ground; close(): Promise<void> }> {
  const machine = stack.machine(user);
  const host = stack.tka.dnsName;
  // Anything that has a key will do.
  const pki = join(stack.dir, 'pki', 'headscale');
  const evil = await Site.serve({ tls: { certFile: `${pki}.crt`, keyFile: `${pki}.key` } });
  const names = await Names.serve({
    'evil.example': evil.place,
    [host]: (port) => machine.connect(stack.tka.ip, port),
  });
  const dir = mkdtempSync(join(machine.home, 'browser-'));
  const browser = new Chromium({ program, dir, socksPort: names.port });
  const page = await browser.newPage();
  return {
    ground: { stack, caller: new Caller(stack, machine), host, names, evil, page },
    close: async () => {
      await browser.close();
      names.close();
      evil.close();
    },
  };
}

/** A script that comes to `type status body`, or to the error's text. */
function fetching(url: string, options: object = {}): string {
  return `fetch(${JSON.stringify(url)}, ${JSON.stringify(options)}).then(
    async (answer) => answer.type + ' ' + answer.status + ' ' + (await answer.text()),
    String,
  )`;
}

interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly deletionTimestamp?: string;
}

/** What makes them what they are; empty where there is none. */
async function sessionsOf(stack: Stack): Promise<string> {
  const { status, body } = await stack.kubernetes.api('GET', '/apis/tka.specht-labs.de/v1alpha1/tkasignins');
  if (status !== 200) throw new Error(`${status} ${body}`);
  // A TkaSigninList, says 200.
  const { items } = JSON.parse(body) as { items: readonly { metadata: Metadata; spec: object }[] };
  return items
    .map(({ metadata: { name, uid, deletionTimestamp }, spec }) =>
      JSON.stringify({ name, uid, deletionTimestamp, spec }),
    )
    .join('\n');
}

/** Resolves when that many foreign requests were refused. */
async function refusals(stack: Stack, since: number, count: number): Promise<void> {
  const isRefused = ({ result, reason, message }: ReturnType<typeof logOf>[number]): boolean =>
    result === 'refused' && /web pages of other origins/.test(`${String(reason)} ${String(message)}`);
  await until(() => logOf(stack, since).filter(isRefused).length >= count, {
    what: `${count} refused requests in the log`,
    timeoutMs: 5000,
  });
}
