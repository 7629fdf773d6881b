/**
 * Whether what a server says may change this machine. A server that its user agreed to may; a new one that the user named by
 * hand too; for any other, and for one that is another machine than was agreed to, a person at a terminal has to say yes.
 * Nobody is asked in a script, and nothing is ever agreed to by one.
 *
 * Where no tailscaled tells, the user's word does; but while this machine is off its tailnet, whoever answers over plain http by
 * the name of a machine that was agreed to there is another one.
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

/** `agreed`: a person said yes. Throws UserError (3) where the answer is no, TailnetError or UnreachableError (4) where nobody can tell. */
export async function checkTrust(claim: Claim, interaction: Interaction | undefined): Promise<'known' | 'agreed'> {
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
  throw new UnreachableError(`no machine of this tailnet is ${server}`, ['See which there are: tka clusters', nameIt]);
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

async function askAboutNew({ server }: Claim, peer: Peer, interaction: Interaction | undefined): Promise<'agreed'> {
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
  if (await interaction.confirm({ title: `Trust ${server}?`, details })) return 'agreed';
  throw denied(`${server} is not trusted, so nothing was done`);
}

async function askAboutChange(
  { server, peer, elsewhere }: Claim,
  pin: KnownServer,
  interaction: Interaction | undefined,
): Promise<'agreed'> {
  const machine = describeNode({ id: pin.nodeId, tags: pin.tags });
  const before =
    elsewhere === undefined ? machine : `${machine} of another tailnet, ${elsewhere || 'which has no name'}`;
  const now = peer === undefined ? 'no machine of this tailnet' : describeNode(peer);
  if (interaction === undefined || peer === undefined) {
    throw denied(`${server} is not the machine that you agreed to`, [
      `It was ${before}; now it is ${now}.`,
      'Ask who runs it. If it has moved, forget the old one and log in again:',
      `  tka clusters forget ${pin.cluster ?? server}`,
    ]);
  }
  const details = [
    `You agreed to ${before}; now it is ${now}.`,
    'If its operator has not moved it, another machine answers in its place.',
  ];
  if (await interaction.confirm({ title: `Trust ${server} again, although it is another machine?`, details })) {
    return 'agreed';
  }
  throw denied(`${server} is not trusted any more, so nothing was done`);
}

function denied(message: string, advice: readonly string[] = []): UserError {
  return new UserError(message, advice, exitCodes.denied);
}
