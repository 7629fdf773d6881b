/**
 * Whether a server's answers may change this machine. A trusted server's may; a new one's that the user named
 * explicitly too; for any other, and for a changed machine, a person at a terminal has to confirm.
 * A script is never asked, and never confirms anything.
 *
 * Without a tailscaled, naming the server is enough; but while this machine is off its tailnet, what answers plain http under
 * the name of a machine trusted there is another machine.
 */
import { exitCodes, UnreachableError, UserError } from '../errors.ts';
import type { Interaction } from '../terminal/interaction.ts';
import type { KnownServer } from './known-servers.ts';
import { type Peer, TailnetError } from '../tailnet/types.ts';
import { describeNode, type Judgement } from './trust.ts';

export interface Claim extends Judgement {
  /** The origin. */
  readonly server: string;
  readonly byHand: boolean;
  /** Why the tailnet cannot be asked. */
  readonly problem?: TailnetError | undefined;
  /** A proxy leads there, which may be on the tailnet where this machine is not. */
  readonly isProxied: boolean;
}

/** `confirmed`: a person said yes. Throws UserError (3) if the answer is no, TailnetError or UnreachableError (4) if it cannot be determined. */
export async function checkTrust(claim: Claim, interaction: Interaction | undefined): Promise<'known' | 'confirmed'> {
  const { trust, peer, pin, byHand, server, problem } = claim;
  if (trust === 'pinned') return 'known';
  if (trust === 'changed' && pin !== undefined) return askAboutChange(claim, pin, interaction);
  if (byHand) {
    if (problem === undefined || !isImpostor(claim)) return 'known';
    const forget = `If it is reached without the tailnet by now: tka clusters forget ${pin?.cluster ?? server}`;
    throw cannotTell(server, problem, forget);
  }
  if (peer !== undefined) return askAboutNew(claim, peer, interaction);
  const nameIt = `To trust it, run: tka login --server ${server}`;
  if (problem !== undefined) throw cannotTell(server, problem, nameIt);
  throw new UnreachableError(`${server} is not a machine of this tailnet`, ['List the servers: tka clusters', nameIt]);
}

/** Not where tailscaled is absent: a container may reach the tailnet by its host. By https the certificate tells. */
function isImpostor({ server, pin, problem, isProxied }: Claim): boolean {
  const isOff = problem !== undefined && ['stopped', 'logged-out', 'starting'].includes(problem.problem);
  return pin !== undefined && isOff && !isProxied && server.startsWith('http:');
}

function cannotTell(server: string, problem: TailnetError, remedy: string): TailnetError {
  const message = `cannot tell which machine ${server} is: ${problem.message}`;
  return new TailnetError(problem.problem, message, [...problem.advice, remedy], problem);
}

async function askAboutNew({ server }: Claim, peer: Peer, interaction: Interaction | undefined): Promise<'confirmed'> {
  if (interaction === undefined) {
    throw denied(`${server} is not trusted yet`, [
      `It is ${describeNode(peer)}.`,
      `To trust it, run: tka login --server ${server}`,
    ]);
  }
  const details = [
    `It was found on the tailnet: ${peer.name === '' ? peer.hostName : peer.name}, ${describeNode(peer)}.`,
    ...(peer.shared === true ? ['It belongs to another tailnet, which shares it with yours.'] : []),
    'You have not used it before. Its operator controls which cluster your kubectl talks to.',
  ];
  if (await interaction.confirm({ title: `Trust ${server}?`, details })) return 'confirmed';
  throw denied(`${server} is not trusted, so nothing was done`);
}

async function askAboutChange(
  { server, peer, elsewhere }: Claim,
  pin: KnownServer,
  interaction: Interaction | undefined,
): Promise<'confirmed'> {
  const machine = describeNode({ id: pin.nodeId, tags: pin.tags });
  const before =
    elsewhere === undefined ? machine : `${machine} of another tailnet, ${elsewhere || 'which has no name'}`;
  const now = peer === undefined ? 'no machine of this tailnet' : describeNode(peer);
  if (interaction === undefined || peer === undefined) {
    throw denied(`${server} has changed its identity`, [
      `It was ${before}; now it is ${now}.`,
      'Ask who runs it. If it has moved, forget the old one and log in again:',
      `  tka clusters forget ${pin.cluster ?? server}`,
    ]);
  }
  const details = [
    `It was ${before}; now it is ${now}.`,
    'If its operator has not moved it, another machine answers in its place.',
  ];
  if (await interaction.confirm({ title: `The identity of ${server} has changed. Trust it anyway?`, details })) {
    return 'confirmed';
  }
  throw denied(`${server} is no longer trusted, so nothing was done`);
}

function denied(message: string, advice: readonly string[] = []): UserError {
  return new UserError(message, advice, exitCodes.denied);
}
