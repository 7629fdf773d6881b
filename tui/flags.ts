/**
 * The flags as commands take them: what the parser (program/program.ts) makes of the arguments. Absent means not given; the command
 * that reads a flag knows its default.
 */
import type { Mode } from '../node/http/contract.ts';

/** Every command has these. */
export interface GlobalFlags {
  /** A host name, host:port or URL; `--port` goes with a host name alone. */
  readonly server?: string;
  readonly port?: number;
  /** One of the clusters that `tka clusters` lists, by its name. */
  readonly cluster?: string;
  /** The configuration file to read instead of the usual ones. */
  readonly config?: string;
  readonly quiet?: boolean;
  readonly nonInteractive?: boolean;
  readonly timeoutMs?: number;
  readonly theme?: string;
}

export type OutputForm = 'json' | 'yaml' | 'name';

export interface OutputFlags {
  readonly output?: OutputForm;
}

/** Which session to open, and how to reach the cluster with it. */
export interface LoginRequestFlags {
  readonly role?: string;
  readonly period?: string;
  readonly mode?: Mode;
  /** The namespace of the context; default: the only one of the session, else none. */
  readonly namespace?: string;
  readonly insecureSkipTlsVerify?: boolean;
}

/** What becomes of the user's kubeconfig. */
export interface ContextFlags {
  readonly kubeconfig?: string;
  /** With `{cluster}`, `{role}`, `{namespace}` and `{session}`; default `tka-{cluster}-{role}`. */
  readonly contextName?: string;
  readonly use?: boolean;
  readonly inlineToken?: boolean;
}

// One type a command, in the order of `tka --help`. `commands/NAME.ts` exports a function of the command's name (camelCase)
// that takes the Runtime and these, and resolves to an exit code where it is not always 0.
export type HomeFlags = GlobalFlags;
export interface LoginFlags extends GlobalFlags, OutputFlags, LoginRequestFlags, ContextFlags {
  /** At every cluster that answers and is trusted. */
  readonly all?: boolean;
  /** The kubeconfig of the session on stdout, and nothing written. */
  readonly printKubeconfig?: boolean;
}
export interface RenewFlags extends GlobalFlags, OutputFlags {
  /** Absent: that of TKA_SESSION, else of the current context, else the only one. */
  readonly session?: string;
  readonly period?: string;
  readonly kubeconfig?: string;
}
export interface LogoutFlags extends GlobalFlags, OutputFlags {
  readonly session?: string;
  readonly kubeconfig?: string;
  /** At every server that the kubeconfig has sessions of. */
  readonly all?: boolean;
  readonly local?: boolean;
}
export interface StatusFlags extends GlobalFlags, OutputFlags {
  readonly kubeconfig?: string;
  readonly watch?: boolean;
  /** This one alone. */
  readonly session?: string;
  /** Even where a server is named. */
  readonly all?: boolean;
}
export interface UseFlags extends GlobalFlags, OutputFlags {
  /** A context, a session, a cluster or a server. */
  readonly name: string;
  readonly kubeconfig?: string;
}
export interface ShellFlags extends GlobalFlags, LoginRequestFlags {
  /** After `--`; absent: the user's shell. */
  readonly command?: readonly string[];
}
export interface ExecFlags extends GlobalFlags, LoginRequestFlags {
  readonly command: readonly string[];
  /** Join the tailnet with the embedded client for as long as the command runs. */
  readonly join?: boolean;
  /** A file that holds the auth key; default: TS_AUTHKEY. */
  readonly authKeyFile?: string;
  /** With --join: tags of the node; the auth key's own if absent. */
  readonly tags?: readonly string[];
  /** With --join. */
  readonly hostname?: string;
  /** With --join; default: Tailscale's own. */
  readonly controlUrl?: string;
}
export type WhoamiFlags = GlobalFlags & OutputFlags;
export type RolesFlags = GlobalFlags & OutputFlags;
export type ClustersFlags = GlobalFlags & OutputFlags;
export interface ClustersForgetFlags extends GlobalFlags {
  /** A cluster's name or a server's URL. */
  readonly name: string;
}
export type ClusterInfoFlags = GlobalFlags & OutputFlags;
export interface KubeconfigFlags extends GlobalFlags {
  readonly session?: string;
  readonly mode?: Mode;
  readonly insecureSkipTlsVerify?: boolean;
  /** The form; default: YAML. */
  readonly output?: 'json' | 'yaml';
}
export interface ConfigFlags extends GlobalFlags, OutputFlags {
  readonly action: 'get' | 'set' | 'unset' | 'list' | 'path';
  readonly key?: string;
  readonly value?: string;
}
export interface DoctorFlags extends GlobalFlags, OutputFlags {
  readonly kubeconfig?: string;
}
export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;
export type Shell = (typeof shells)[number];
export interface IntegrationFlags extends GlobalFlags {
  readonly shell: Shell;
}
export interface CompletionFlags extends GlobalFlags {
  readonly shell: Shell;
}
