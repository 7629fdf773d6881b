/** Makes a stub server (stub-server.ts) remember: sessions come with a login, one for each role, and go with a logout. */
import { sendJson, type StubServer, stubKubeconfig, stubToken } from './stub-server.ts';

export interface SessionStub {
  /** The sessions that there are now. */
  readonly sessions: ReadonlyMap<string, { readonly role: string; readonly until: string }>;
  /** How often each was ended by a call. */
  readonly ended: readonly string[];
}

/** `lastsMs`: from login to end. */
export function keepSessions(stub: StubServer, { lastsMs = 8 * 3_600_000 } = {}): SessionStub {
  const sessions = new Map<string, { readonly role: string; readonly until: string }>();
  const ended: string[] = [];
  const username = 'alice@example.com';
  const parse = (body: string): { role?: string; session?: string } =>
    body === '' ? {} : (JSON.parse(body) as { role?: string; session?: string });
  const describe = (session: string): object => ({ session, username, ...sessions.get(session), ready: true });
  stub.answer('POST /api/v1alpha1/login', ({ body }, response) => {
    const { role = 'view' } = parse(body);
    const session = `alice-${role}`;
    sessions.set(session, { role, until: new Date(Date.now() + lastsMs).toISOString() });
    sendJson(response, 200, describe(session));
  });
  stub.answer('GET /api/v1alpha1/sessions', (_, response) => {
    sendJson(response, 200, { sessions: [...sessions.keys()].map(describe) });
  });
  stub.answer('GET /api/v1alpha1/kubeconfig', (_, response) => {
    sendJson(response, 200, stubKubeconfig(stubToken(new Date(Date.now() + lastsMs))));
  });
  stub.answer('POST /api/v1alpha1/logout', ({ body }, response) => {
    const { session } = parse(body);
    for (const name of session === undefined ? [...sessions.keys()] : [session]) {
      if (sessions.delete(name)) ended.push(name);
    }
    sendJson(response, 200, {});
  });
  return { sessions, ended };
}
