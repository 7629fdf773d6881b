/**
 * Kinds of settings, each with how a flag or a variable of the environment is read and what a value must be: text, numbers,
 * lists, names. The settings themselves are in settings.ts.
 */
import { isIP } from 'node:net';
import * as z from 'zod';
import { dnsLabelPattern } from '../../crd/tkasignin.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly fallback: T | ((env: Environment) => T);
  readonly about: string;
  /** Reads what a flag or the environment says; what it cannot parse it returns unchanged, for the schema to refuse. */
  readonly read: (text: string) => unknown;
  /** Further names in the environment, after the TKA_ one. */
  readonly env?: readonly string[];
  /** Further names as a flag, with their dashes. */
  readonly flags?: readonly string[];
  /** Never printed, and never a flag: other users can see arguments. */
  readonly isSecret?: true;
  /** The documented default, where it depends on the machine. */
  readonly fallbackInWords?: string;
}

const asText = (text: string): unknown => text;
const asNumber = (text: string): unknown => (/^-?\d+$/.test(text.trim()) ? Number(text) : text);
const asBoolean = (text: string): unknown =>
  ({ true: true, '1': true, false: false, '0': false })[text.trim().toLowerCase()] ?? text;
const asList = (text: string): unknown =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
export const asLabels = (text: string): unknown =>
  Object.fromEntries(
    text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [name = '', ...value] = part.split('=');
        return [name.trim(), value.join('=').trim()];
      }),
  );

type Extra = Pick<Setting<unknown>, 'env' | 'flags' | 'isSecret' | 'fallbackInWords'>;

export const text = (
  fallback: string | ((env: Environment) => string),
  about: string,
  extra: Extra = {},
): Setting<string> => ({
  schema: z.string(),
  fallback,
  about,
  read: asText,
  ...extra,
});
export const url = (about: string, extra: Extra = {}): Setting<string> => ({
  ...text('', about, extra),
  schema: z.literal('').or(z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })),
});
export const count = (fallback: number, about: string, extra: Extra = {}): Setting<number> => ({
  schema: z.int().min(1).max(1_000_000),
  fallback,
  about,
  read: asNumber,
  ...extra,
});
export const port = (fallback: number, about: string, extra: Extra = {}): Setting<number> => ({
  ...count(fallback, about, extra),
  schema: z.int().min(1).max(65_535),
});
export const yesNo = (
  about: string,
  extra: Extra & Partial<Pick<Setting<boolean>, 'fallback'>> = {},
): Setting<boolean> => ({
  schema: z.boolean(),
  fallback: false,
  about,
  read: asBoolean,
  ...extra,
});
export const list = <T extends string>(
  fallback: readonly NoInfer<T>[],
  about: string,
  item: z.ZodType<T>,
  extra: Extra = {},
): Setting<readonly T[]> => ({
  schema: z.array(item),
  fallback,
  about,
  read: asList,
  ...extra,
});
export const choice = <const T extends string>(
  options: readonly [T, ...T[]],
  fallback: NoInfer<T>,
  about: string,
): Setting<T> => ({
  schema: z.enum(options),
  fallback,
  about,
  read: asText,
});

/** An IP address or a host name; a last label of digits alone would be a mistyped IP address. */
export const address = (fallback: (env: Environment) => string, about: string, extra: Extra = {}): Setting<string> => ({
  ...text(fallback, about, extra),
  schema: z
    .string()
    .refine(
      (given) =>
        isIP(given) !== 0 || /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?$/i.test(given),
      'must be an IP address or a host name',
    ),
});

export const label = (about: string, fallback: string, extra: Extra = {}): Setting<string> => ({
  ...text(fallback, about, extra),
  schema: z.string().regex(dnsLabelPattern, 'must be a DNS label: a-z, 0-9 and -, at most 63 characters'),
});
export const secretName = (about: string): Setting<string> => ({
  ...text('', about),
  schema: z
    .string()
    .max(253)
    .regex(/^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)?$/, 'must be the name of a Secret: a-z, 0-9, - and .'),
});
