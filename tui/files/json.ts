/** JSON of files and programs, read without a schema library: the credential plugin is on this path. */
import { readFileSync } from 'node:fs';
import { systemCode } from '../errors.ts';

/** Undefined if the file cannot be read or is not JSON. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || systemCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** The fields of an object, each still to be checked; none of anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  // Checked to be a plain object.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
