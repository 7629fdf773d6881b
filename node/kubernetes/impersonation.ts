/**
 * Impersonation in a kubeconfig beyond `as`, the only field that the Kubernetes client reads: `as-groups`, `as-uid` and
 * `as-user-extra`, as request headers. Ignoring them would give tka more rights than the kubeconfig says.
 */
import { parse } from 'yaml';
import * as z from 'zod';

const fileSchema = z.looseObject({
  users: z.array(
    z.looseObject({
      name: z.string(),
      user: z
        .looseObject({
          'as-groups': z.array(z.string()).optional(),
          'as-uid': z.string().optional(),
          'as-user-extra': z.record(z.string(), z.array(z.string())).optional(),
        })
        .nullish(),
    }),
  ),
});

/** `text` is a kubeconfig; lower-case names, without any for a user that impersonates no more than a name. */
export function impersonationHeaders(text: string, userName: string): Readonly<Record<string, string[]>> {
  const file = fileSchema.safeParse(parse(text));
  const user = file.data?.users.find(({ name }) => name === userName)?.user;
  const { 'as-groups': groups = [], 'as-uid': uid, 'as-user-extra': extra = {} } = user ?? {};
  return {
    ...(groups.length === 0 ? {} : { 'impersonate-group': groups }),
    ...(uid === undefined ? {} : { 'impersonate-uid': [uid] }),
    ...Object.fromEntries(
      // A header's name holds no slash.
      Object.entries(extra).map(([key, values]) => [
        `impersonate-extra-${encodeURIComponent(key).toLowerCase()}`,
        values,
      ]),
    ),
  };
}
