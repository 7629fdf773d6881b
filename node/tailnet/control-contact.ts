/**
 * Contact with the tailnet's control server, as the engine reports it. Without contact, grants and nodes are known only as they last
 * were: open sessions and new logins are served with those, each up to its own limit, counted from the last contact.
 *
 * The time without contact is kept here and not in the engine, so that a restart of the engine does not reset it.
 */
import { type Clock, systemClock } from '../../reconciler/clock.ts';
import { controlHost } from '../http/subject.ts';
import type { Config } from '../config/settings.ts';
import type { NodeState } from '../tsnet/node.ts';

export interface ControlContact {
  /** Milliseconds since the last contact; 0 while there is contact. */
  awayMs(): number;
  /** New logins are past their limit. */
  isPastLogins(): boolean;
  /** For the operator; undefined while there is contact. */
  describe(): string | undefined;
  stop(): void;
}

export interface ControlContactDeps {
  readonly node: {
    on(event: 'state', listener: (state: NodeState) => void): void;
    off(event: 'state', listener: (state: NodeState) => void): void;
  };
  /** The control server's URL, for messages. */
  readonly server: string;
  readonly loginsMs: number;
  readonly sessionsMs: number;
  readonly log: Record<'info' | 'warn', (fields: object, message: string) => void>;
  /** Its `now` only goes forward. */
  readonly clock: Clock;
  /** Milliseconds since the epoch, as the engine's. */
  date(): number;
}

/** By the configured limits and the real clocks. */
export function contactOf(
  config: Config,
  node: ControlContactDeps['node'],
  log: ControlContactDeps['log'],
): ControlContact {
  const controlUrl = config['tailscale.controlUrl'];
  return followControl({
    node,
    server: controlUrl || `https://${controlHost(controlUrl)}`,
    loginsMs: config['limits.offlineLoginSeconds'] * 1000,
    sessionsMs: config['limits.unknownGrantSeconds'] * 1000,
    log,
    clock: { ...systemClock, now: () => performance.now() },
    date: () => Date.now(),
  });
}

export function followControl(deps: ControlContactDeps): ControlContact {
  const { node, server, log, clock } = deps;
  // A session opened past the limit would end at once.
  const loginsMs = Math.min(deps.loginsMs, deps.sessionsMs);
  let since: number | undefined;
  let cancelClosed = (): void => {};
  const awayMs = (): number => (since === undefined ? 0 : Math.max(0, clock.now() - since));

  const onState = ({ ready, controlAway }: NodeState): void => {
    if (controlAway !== undefined) {
      const lost = clock.now() - Math.max(0, deps.date() - Date.parse(controlAway));
      if (since !== undefined) {
        since = Math.min(since, lost);
        return;
      }
      since = lost;
      log.warn(
        {
          server,
          since: controlAway,
          loginsUntilSeconds: Math.round((loginsMs - awayMs()) / 1000),
          sessionsUntilSeconds: Math.round((deps.sessionsMs - awayMs()) / 1000),
        },
        'no contact with the control server: grants cannot be confirmed',
      );
      cancelClosed = clock.schedule(sayClosed, loginsMs - awayMs());
    } else if (ready && since !== undefined) {
      log.info({ server, awaySeconds: Math.round(awayMs() / 1000) }, 'contact with the control server again');
      cancelClosed();
      since = undefined;
    }
  };
  const sayClosed = (): void => {
    log.warn(
      { server, awaySeconds: Math.round(awayMs() / 1000) },
      'new logins are refused: no contact with the control server',
    );
  };
  node.on('state', onState);
  return {
    awayMs,
    isPastLogins: () => since !== undefined && awayMs() >= loginsMs,
    describe: () =>
      since === undefined
        ? undefined
        : `no contact with the control server ${server} for ${Math.round(awayMs() / 1000)} s`,
    stop() {
      node.off('state', onState);
      cancelClosed();
    },
  };
}
