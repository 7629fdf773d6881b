/** Requests as the engine asks about them, without an engine. */
import type {
  AskedRequest,
  CutOrder,
  ForwardOrder,
  OwnAnswer,
  RecordOrder,
  RequestEvents,
} from '../../tsnet/decider.ts';
import { connectionOf, type Fixture, turns } from './fixture.ts';

export interface Question {
  readonly method?: string;
  readonly target?: string;
  readonly as?: string;
  readonly session?: string;
  readonly headers?: readonly string[];
  /** Besides the usual ones. */
  readonly upgrade?: readonly string[];
  readonly hasBody?: boolean;
}

/** The engine's side of one request. */
export class Asked implements AskedRequest {
  readonly connection;
  readonly httpVersion = '1.1';
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly hasBody: boolean;
  readonly forwarded: ForwardOrder[] = [];
  readonly answered: OwnAnswer[] = [];
  readonly cuts: CutOrder[] = [];
  readonly records: RecordOrder[] = [];
  /** How much of the body was asked for. */
  asksFor: number | undefined;
  events: RequestEvents | undefined;

  constructor(at: Fixture, { method = 'GET', target = '/k8s/api/v1/pods', as = 'alice', ...more }: Question = {}) {
    this.connection = connectionOf(as);
    this.method = method;
    this.target = target;
    this.hasBody = more.hasBody ?? false;
    const token = at.token(more.session ?? 'alice');
    this.rawHeaders = more.headers ?? [
      'Host',
      'tka',
      'Authorization',
      `Bearer ${token}`,
      'Accept',
      'a',
      'X-Other',
      'b',
      ...(more.upgrade ?? []),
    ];
    at.proxy.decider.decide(this, (events) => (this.events = events));
  }
  read(most: number): void {
    this.asksFor = most;
  }
  record(order: RecordOrder): void {
    this.records.push(order);
  }
  forward(order: ForwardOrder): void {
    this.forwarded.push(order);
  }
  answer(answer: OwnAnswer): void {
    this.answered.push(answer);
  }
  cut(cut: CutOrder): void {
    this.cuts.push(cut);
  }
  end(status = 200): void {
    this.events?.ended({ status, sentBytes: 3, receivedBytes: 4 });
  }
}

export async function ask(at: Fixture, question?: Question): Promise<Asked> {
  const asked = new Asked(at, question);
  await turns();
  return asked;
}
