/**
 * An engine for tests, which speaks the protocol and no more: it joins nothing. What it does wrong is asked of it by its
 * argument, or by WhoIs questions that no program would ask.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { PROTOCOL_VERSION } from '../protocol.ts';

interface Request {
  readonly type: string;
  readonly id: number;
  readonly address: string;
  readonly socketPath: string;
  readonly nonce: string;
  readonly hostname: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  readonly state: Readonly<Record<string, string>> | null;
  readonly save: number;
  readonly problem: string;
  readonly noCredential: string;
}

const [fault] = process.argv.slice(2);
const IDENTITY = { nodeId: 'n1', nodeKey: 'k1', nodeName: 'laptop', tags: [], capabilities: {} };
const PEERS: Readonly<Record<string, object>> = {
  tka: { ...IDENTITY, nodeName: 'tka.tail.test', tags: tagsOf(fault) },
  laptop: IDENTITY,
};
let start: Request | undefined;
let isSilent = false;
let proxyAddress = '';
let hasLooked = false;
/** What became of what it saved. */
const saves: string[] = [];

function tagsOf(what: string | undefined): readonly string[] {
  if (what === 'untagged') return [];
  return [what === 'other-tag' ? 'tag:ci' : 'tag:tka'];
}

const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);
const state = (more: object): boolean =>
  say({
    type: 'state',
    status: 'Running',
    ready: true,
    addresses: ['100.64.0.9'],
    dnsName: 'tka.tail.test',
    stableNodeId: 'n9',
    certDomains: [],
    health: [],
    ...more,
  });

if (fault === 'babble') process.stdout.write('Usage: something else\n');
else say({ type: 'hello', version: fault === 'version' ? 99 : PROTOCOL_VERSION });

createInterface({ input: process.stdin })
  .on('line', (line) => answer(JSON.parse(line) as Request))
  .on('close', () => process.exit(0));

function answer(request: Request): void {
  const { type, id } = request;
  if (isSilent || type === 'hello') return;
  switch (type) {
    case 'start':
      start = request;
      if (fault === 'no-start') {
        say({ type: 'failed', id, code: 'StartFailed', message: 'the state directory is read-only' });
        return;
      }
      if (start.noCredential !== '' && fault !== 'joined') {
        say({ type: 'failed', id, code: 'NoCredential', message: start.noCredential });
        return;
      }
      if (fault === 'damaged') {
        say({ type: 'failed', id, code: 'StateDamaged', message: '_machinekey is no machine key' });
        return;
      }
      // The client saves before it has started.
      if (start.state !== null) {
        say({ type: 'save', save: 1, key: '_machinekey', value: Buffer.from('privkey').toString('base64') });
        say({ type: 'save', save: 2, key: 'former', value: null });
      }
      say({ type: 'done', id });
      if (fault === 'refused') state({ status: 'Failed', ready: false, reason: 'the auth key was refused by X' });
      else if (fault === 'login') state({ status: 'NeedsLogin', ready: false, authUrl: 'https://control/a/1' });
      else if (fault === 'approval')
        state({ status: 'NeedsLogin', ready: false, reason: 'an administrator must approve' });
      else if (fault === 'mute') return;
      else state({});
      return;
    case 'listen':
      if (request.port === 1) say({ type: 'failed', id, code: 'ListenFailed', message: 'port in use' });
      else say({ type: 'done', id });
      return;
    case 'whoIs':
      return whoIs(request);
    case 'findPeer':
      return findPeer(request);
    case 'proxy':
      if (fault === 'no-port') say({ type: 'failed', id, code: 'ListenFailed', message: 'no port' });
      else {
        proxyAddress = `127.0.0.1:${request.port === 0 ? 1024 + (process.pid % 60_000) : request.port}`;
        say({ type: 'address', id, address: proxyAddress });
      }
      return;
    case 'saved':
      saves.push(`${request.save} ${request.problem}`);
      say({ type: 'done', id });
      return;
    case 'stop':
      say({ type: 'done', id });
      process.exit(0);
      return;
    default:
      say({ type: 'done', id });
  }
}

function findPeer({ id, name }: Request): void {
  const isHidden = fault === 'late-peer' && !hasLooked;
  const peer = isHidden ? undefined : PEERS[name];
  if (!hasLooked) setImmediate(() => say({ type: 'peers' }));
  hasLooked = true;
  say({ type: 'identity', id, identity: peer ?? { ...IDENTITY, nodeId: '', refusal: 'unknown' } });
}

function whoIs({ id, address }: Request): void {
  const [order, listener = '', nonce = start?.nonce] = address.split(' ');
  switch (order) {
    case 'die':
      process.exit(7);
      return;
    case 'silence':
      isSilent = true;
      return;
    case 'stop-yourself':
      process.kill(process.pid, 'SIGSTOP');
      return;
    case 'environment':
      say({ type: 'identity', id, identity: { ...IDENTITY, tags: Object.keys(process.env) } });
      return;
    case 'start':
      say({ type: 'identity', id, identity: { ...IDENTITY, nodeName: JSON.stringify(start) } });
      return;
    case 'saves':
      say({ type: 'identity', id, identity: { ...IDENTITY, tags: saves } });
      return;
    case 'proxy':
      say({ type: 'identity', id, identity: { ...IDENTITY, nodeName: proxyAddress } });
      return;
    case 'peers':
      say({ type: 'peers' });
      break;
    case 'connect':
    case 'connect-slowly': {
      const preamble = Buffer.from(
        JSON.stringify({
          nonce,
          listener,
          source: { address: '100.64.0.1', port: 4711 },
          destination: { address: '100.64.0.9', port: 80 },
          tls: false,
          identity: IDENTITY,
        }),
      );
      const length = Buffer.alloc(4);
      length.writeUInt32BE(preamble.length);
      const socket = connect(start?.socketPath ?? '').on('error', () => {});
      const head = `GET / HTTP/1.1\r\nHost: tka\r\n${order === 'connect' ? '\r\n' : ''}`;
      socket.write(Buffer.concat([length, preamble, Buffer.from(head)]));
      break;
    }
  }
  // After a hint the fake answers as somebody else, so that a pinned connection notices.
  say({
    type: 'identity',
    id,
    identity: address.startsWith('100.64.0.1:') ? { ...IDENTITY, nodeKey: 'k2' } : IDENTITY,
  });
}
