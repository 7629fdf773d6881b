/**
 * What the Kubernetes API carries besides the API: applications behind `pods/proxy`, which get through tka what the API server gives
 * them, and a watch by websocket, as some clients open it.
 */
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import test from 'ava';
import type { Stack } from '../../dev/stack/stack.ts';
import type { StandIn } from '../../dev/stack/stand-in.ts';
import { ownAddress } from '../browser/own-address.ts';
import { Site } from '../browser/site.ts';
import { Caller } from './caller.ts';

export function applications(stackOf: () => Stack, user: string, standIn: () => StandIn): void {
  const address = ownAddress();
  const [withAddress, why] =
    address === undefined ? [test.serial.skip, ': no address but loopback'] : [test.serial, ''];
  withAddress(
    `an application behind pods/proxy gets its caller's headers and paths, and sets cookies${why}`,
    async (t) => {
      if (address === undefined) return;
      const site = await Site.serve({
        address,
        resources: { '/a/b?c=//d': { headers: { 'set-cookie': ['session=1; Path=/', 'theme=dark'] }, body: 'here' } },
      });
      t.teardown(() => site.close());
      await standIn().addPod('application', address);
      const path = `/api/v1/namespaces/default/pods/application:${site.port}/proxy//a//b?c=//d`;
      const stack = stackOf();
      const headers = {
        'x-csrf-token': 'x',
        'x-scope-orgid': 'tenant',
        cookie: 'session=0; a=b',
        'accept-language': 'de',
      };
      const direct = await stack.kubernetes.api('GET', path, undefined, { ...headers, origin: stack.kubernetes.url });
      t.is(direct.status, 200, direct.body);

      const caller = Caller.of(stack, user);
      const entry = await caller.login();
      const { host, origin } = new URL(entry.url);
      const own = { accept: 'application/json', authorization: `Bearer ${entry.token}`, host, origin };
      const withheld = { 'x-forwarded-for': '1.2.3.4', 'x-remote-user': 'root', 'tailscale-user-login': 'root' };
      const answer = await caller.ask(entry, path, { headers: { ...headers, ...own, ...withheld } });
      t.is(answer.status, 200, answer.body);
      t.is(answer.body, 'here');
      t.deepEqual(answer.headers['set-cookie'], direct.headers['set-cookie']);
      t.is(answer.headers['content-security-policy'], 'sandbox');

      const [first, second] = site.asked;
      t.is(second?.url, first?.url);
      t.deepEqual(second?.headers['x-csrf-token'], 'x');
      t.deepEqual(comparable(second?.headers), comparable(first?.headers));
      t.notRegex(JSON.stringify(second), /tka_|1\.2\.3\.4|bearer|root/i);

      // Without the last slash the API server redirects to itself, and so to where the request came from.
      const unslashed = `/api/v1/namespaces/default/pods/application:${site.port}/proxy`;
      for (const [url, prefix] of [
        [entry.url, '/k8s'],
        [origin, ''],
      ] as const) {
        const redirect = await caller.ask({ ...entry, url }, unslashed);
        t.is(redirect.status, 301, redirect.body);
        t.is(redirect.headers.location, `${prefix}${unslashed}/`);
      }
    },
  );

  test.serial('a watch by websocket is opened with the own origin, and tells what happens', async (t) => {
    const stack = stackOf();
    const caller = Caller.of(stack, user);
    const entry = await caller.login();
    const { host, origin } = new URL(entry.url);
    const socket = await caller.connect();
    t.teardown(() => socket.destroy());
    const asked = [
      'GET /k8s/api/v1/namespaces?watch=true HTTP/1.1',
      `Host: ${host}`,
      `Authorization: Bearer ${entry.token}`,
      `Origin: ${origin}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    let received = '';
    const says = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(received)) await once(socket, 'data', { signal: AbortSignal.timeout(15_000) });
    };
    socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
    socket.write(`${asked.join('\r\n')}\r\n\r\n`);
    await says(/\r\n\r\n/);
    t.regex(received, /^HTTP\/1\.1 101 /);
    await says(/"type":"ADDED".*"name":"default"/s);
    await stack.kubectl(['create', 'namespace', 'by-websocket']);
    await says(/"type":"ADDED".*"name":"by-websocket"/s);
  });
}

/** Without what is the connection's: Host, and who forwarded; and without the ID that tka gives each request. */
function comparable(headers: IncomingHttpHeaders = {}): object {
  const { host: _host, origin: _origin, 'audit-id': _id, ...rest } = headers;
  return Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('x-forwarded-')));
}
