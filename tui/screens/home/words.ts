/** What the home screen says: questions, empty states, what a row is in full. */
import { describeScope } from '../../sessions/grant.ts';
import { type Action, type HomeState, knownOf, type Notice, type Row, sessionsOf } from './state.ts';
import { formatUntil } from '../login/words.ts';

/** A question that the next key answers. */
export function questionOf({ view, clusters, access }: HomeState): Notice | undefined {
  if (view.name !== 'confirm') return undefined;
  const cluster = clusters.find(({ server }) => server === view.server)?.name ?? view.server;
  const session = sessionsOf(access[view.server]).find((one) => one.session === view.session);
  const what = session?.role === undefined ? view.session : `${session.role} ${describeScope(session.namespaces)}`;
  return {
    tone: 'warning',
    text: `Log out of ${what} at ${cluster}?`,
    advice: ['Press o again to log out, any other key to cancel.'],
  };
}

/** Why there is little to see, and what to do about it. */
export function emptyNotice({ problem, searching, clusters, filter, access }: HomeState): Notice | undefined {
  if (problem !== undefined)
    return { tone: 'danger', text: problem.message, advice: [...problem.advice, 'R refreshes.'] };
  if (clusters.length === 0) {
    if (searching) return undefined;
    return {
      tone: 'warning',
      text: 'No cluster was found on this tailnet.',
      advice: [
        'Searched for machines tagged tag:tka* or named tka*, and servers in the configuration file.',
        'Name one: tka login --server HOST, or keep it with: tka config set server HOST',
        'R refreshes.',
      ],
    };
  }
  if (
    filter !== '' &&
    !clusters.some(({ name, server }) => `${name} ${server}`.toLowerCase().includes(filter.trim().toLowerCase()))
  )
    return { tone: 'warning', text: `No cluster is named like "${filter}".`, advice: [] };
  const all = clusters.map(({ server }) => access[server]);
  const isWithoutGrant = all.every(
    (one) => one?.state === 'refused' || (one?.state === 'known' && one.rules.length === 0),
  );
  if (searching || !isWithoutGrant) return undefined;
  const reasons = all.flatMap((one) =>
    one?.state === 'refused' ? one.advice : one?.state === 'known' ? one.dropped : [],
  );
  return {
    tone: 'warning',
    text: 'The tailnet policy grants you nothing at any cluster.',
    advice: [...new Set(reasons), 'Ask your tailnet admin for a grant; see: tka roles'].slice(0, 5),
  };
}

/** Undefined where it is not known, or not the same everywhere. */
export function whoIs({ access }: HomeState): string | undefined {
  const names = new Set(Object.values(access).flatMap((one) => knownOf(one)?.username || []));
  return names.size === 1 ? [...names][0] : undefined;
}

export function busyText({ kind, cluster: { name }, session, stopping }: Action): string {
  const doing = {
    login: `Logging in at ${name}`,
    renew: `Renewing ${session ?? 'the session'} at ${name}`,
    logout: `Logging out of ${session ?? 'the session'} at ${name}`,
    shell: `Opening a shell at ${name}`,
    use: `Switching kubectl to ${session ?? 'the session'} at ${name}`,
  }[kind];
  return stopping ? `Stopping: ${doing}` : doing;
}

/** In full what the row may have cut; the names can be copied from here. */
export function detailOf(row: Row, now: number): readonly string[] {
  if (row.kind === 'session') {
    const { session, contexts, current, endsAt } = row.session;
    const [context] = contexts;
    return [
      ...(row.isStale ? ['last known state'] : []),
      ...(context === undefined ? [] : [`context ${context}${current ? ' (current)' : ''}`]),
      ...(endsAt === undefined ? [] : [`until ${formatUntil(new Date(endsAt), new Date(now))}`]),
      session,
    ];
  }
  const { server, answer, trust, source } = row.cluster;
  const trusted = {
    pinned: 'trusted',
    new: source === 'configuration' ? 'named by you' : 'not trusted yet; the first login asks',
    changed: 'server identity CHANGED',
    unverifiable: 'no local tailscaled: identity not verified',
  }[trust];
  return [server, ...(answer.state === 'here' ? [trusted, `version ${answer.version}`] : [])];
}

/** The last is the way out, and stays where there is room for few. */
export function keysFor(
  { view, action, clusters }: HomeState,
  row: Row | undefined,
): readonly (readonly [string, string])[] {
  if (view.name === 'confirm')
    return [
      ['o', 'log out'],
      ['any other key', 'cancel'],
    ];
  const quit = [
    ['?', 'help'],
    ['q', 'quit'],
  ] as const;
  if (action !== undefined) return [['esc', 'stop'], ...quit];
  if (clusters.length === 0) return [['R', 'refresh'], ...quit];
  return [
    ['enter', row?.kind === 'session' && row.session.state !== 'ended' ? 'renew' : 'login'],
    ['r', 'role'],
    ...(row?.kind === 'session' ? [] : ([['n', 'renew']] as const)),
    ['o', 'logout'],
    ['u', 'use'],
    ['s', 'shell'],
    ['y', 'copy'],
    ['/', 'filter'],
    ...quit,
  ];
}
