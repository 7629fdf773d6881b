/** A request for the Kubernetes API, and how it ended. Types alone. */
import type { TailnetConnection } from '../tsnet/peer.ts';
import type { Upgrade } from './upgrade.ts';

/** All that a decision is made from. */
export interface ProxyRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  /** Name, value, name, value; as sent. */
  readonly rawHeaders: readonly string[];
  readonly hasBody: boolean;
  /** Absent: it asks for no other protocol. */
  readonly upgrade: Upgrade | undefined;
  readonly connection: TailnetConnection;
}

export interface Outcome {
  /** 0 where the caller had gone before there was an answer. */
  readonly status: number;
  /** Bytes of bodies, from the caller's view. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Why it ended early. */
  readonly cut?: string;
}
