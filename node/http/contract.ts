/**
 * The wire between the server and its clients: paths, request and response shapes, error codes.
 *
 * The v1alpha1 names and status codes are those that released clients already speak; a field may be added, never
 * renamed or removed. The `tka` command shares this file and rules.ts with the server, nothing else.
 */
import * as z from 'zod';
import { durationPattern } from './rules.ts';

export const paths = {
  login: '/api/v1alpha1/login',
  logout: '/api/v1alpha1/logout',
  kubeconfig: '/api/v1alpha1/kubeconfig',
  whoami: '/api/v1alpha1/whoami',
  sessions: '/api/v1alpha1/sessions',
  clusterInfo: '/api/v1alpha1/cluster-info',
  wellKnown: '/.well-known/tka',
  openapi: '/openapi.json',
} as const;

/** How a kubeconfig reaches the cluster: straight to the API server, or through tka. */
export const modes = ['direct', 'proxy'] as const;
export const modeSchema = z.enum(modes);
export type Mode = z.infer<typeof modeSchema>;

const durationSchema = z.string().max(32).regex(durationPattern, 'a duration such as 8h, 90m or 1h30m');

export const loginRequestSchema = z.strictObject({
  role: z.string().min(1).max(253).optional(),
  period: durationSchema.optional(),
});
export type LoginRequest = z.infer<typeof loginRequestSchema>;

/** A rule of the policy that cannot be used: its text, shortened, and why. */
const droppedRuleSchema = z.object({ rule: z.string(), reason: z.string() });
export type DroppedRule = z.infer<typeof droppedRuleSchema>;

/** POST and GET login, POST logout. `until` is RFC 3339. `session` is the name of the session. */
export const loginResponseSchema = z.object({
  username: z.string(),
  role: z.string(),
  until: z.string(),
  session: z.string().optional(),
  namespaces: z.array(z.string()).optional(),
  /** Of login: rules for the caller that were dropped; absent for none. */
  dropped: z.array(droppedRuleSchema).optional(),
});
export type LoginResponse = z.infer<typeof loginResponseSchema>;

export const logoutRequestSchema = z.strictObject({ session: z.string().min(1).max(63).optional() });
export type LogoutRequest = z.infer<typeof logoutRequestSchema>;

export const sessionSchema = z.object({
  session: z.string(),
  username: z.string(),
  role: z.string(),
  /** Absent: the role holds in the whole cluster. */
  namespaces: z.array(z.string()).optional(),
  until: z.string(),
  ready: z.boolean(),
});
export type Session = z.infer<typeof sessionSchema>;
export const sessionsResponseSchema = z.object({ sessions: z.array(sessionSchema) });
export type SessionsResponse = z.infer<typeof sessionsResponseSchema>;

export const ruleSchema = z.object({
  role: z.string(),
  period: z.string(),
  priority: z.number(),
  namespaces: z.array(z.string()).optional(),
});
export type GrantedRule = z.infer<typeof ruleSchema>;
export const whoamiResponseSchema = z.object({
  /** Stable identity, for example `controlplane.tailscale.com|user:123`. */
  subject: z.string(),
  username: z.string(),
  node: z.string(),
  tags: z.array(z.string()),
  /** What the policy grants, best first. */
  rules: z.array(ruleSchema),
  /** Rules that were dropped, each with its reason. */
  dropped: z.array(droppedRuleSchema),
});
export type WhoamiResponse = z.infer<typeof whoamiResponseSchema>;

/** `ca_data` is base64 of PEM; empty where the system's roots are to be trusted. */
export const clusterInfoSchema = z.object({
  server_url: z.string(),
  insecure_skip_tls_verify: z.boolean(),
  ca_data: z.string(),
  labels: z.record(z.string(), z.string()),
});
export type ClusterInfo = z.infer<typeof clusterInfoSchema>;

/** One of several servers of one installation: its stable node ID on the tailnet, and its MagicDNS name. */
export const replicaSchema = z.object({ node: z.string(), name: z.string() });
export type Replica = z.infer<typeof replicaSchema>;

export const wellKnownSchema = z.object({
  cluster: z.string(),
  labels: z.record(z.string(), z.string()),
  version: z.string(),
  /** What the server offers: a client ignores values that it does not know. */
  modes: z.array(z.string()),
  /** The versions of the paths above that the server speaks; a server that says none speaks `v1alpha1`. */
  api: z.array(z.string()).optional(),
  /** PEM of tka's own CA where port 443 is served with it; absent where the tailnet's certificate serves. */
  ca: z.string().optional(),
  /** All servers of this installation, the one that answers included; absent where it is the only one. */
  replicas: z.array(replicaSchema).optional(),
});
export type WellKnown = z.infer<typeof wellKnownSchema>;

/** The kind of error, for scripts. */
export const errorCodes = [
  'bad_request',
  'ambiguous_grant',
  'not_logged_in',
  'no_grant',
  'role_not_granted',
  'refused_node',
  'forbidden_origin',
  'not_found',
  'session_ending',
  'unprocessable',
  'rate_limited',
  'unavailable',
  'control_unreachable',
  'installation_damaged',
  'internal',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** Every answer of 400 and above. `advice` says what the caller can do next. */
export const errorResponseSchema = z.object({
  message: z.string(),
  advice: z.array(z.string()).default([]),
  code: z.string().optional(),
  cause: z.string().optional(),
});
export interface ErrorResponse {
  readonly message: string;
  readonly advice: readonly string[];
  readonly code: ErrorCode;
  readonly cause?: string;
}
