/** Objects of Kubernetes as fields, for comparing two that should be alike and saying where they are not. */

/** Leaves by their path, `spec.ports.0.port`. */
export function flatten(value: unknown, path = ''): Map<string, unknown> {
  // Programs fold the lines of a long text differently, and in an expression no space matters.
  if (typeof value === 'string' && path.endsWith('.expression'))
    return new Map([[path, value.replaceAll(/\s+/g, ' ')]]);
  if (typeof value !== 'object' || value === null) return new Map([[path, value]]);
  const entries = Object.entries(value).flatMap(([key, child]) => [
    ...flatten(child, path === '' ? key : `${path}.${key}`),
  ]);
  // An empty object says something too.
  return entries.length === 0 ? new Map([[path, JSON.stringify(value)]]) : new Map(entries);
}
