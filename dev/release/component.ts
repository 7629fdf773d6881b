/**
 * A third-party component of what we publish: an npm package in a bundle, a Go module in the engine. Notices and
 * the bill of materials are made from these alone.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface Component {
  readonly name: string;
  readonly version: string;
  /** An SPDX identifier, one of `acceptedLicences`. */
  readonly licence: string;
  /** What has to be passed on with it: its licence, and its notices where it has some. Never empty. */
  readonly texts: readonly string[];
  /** A package URL, which names it for everybody. */
  readonly purl: string;
  /** Of an npm package's archive, in hexadecimal. */
  readonly sha512?: string;
  /** Of a Go module's tree, as go.sum has it: the hash of no file. */
  readonly goSum?: string;
}

/** All of them allow what we do: to pass the work on, in another form, with its notice. */
export const acceptedLicences: readonly string[] = [
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'Unlicense',
];

const noticeFile = /^(licen[cs]e|copying|notice|patents|unlicense)([.-](md|txt|markdown))?$/i;

/** The texts in the folder itself, by the names of their files. */
export async function noticesIn(folder: string): Promise<readonly string[]> {
  const files = (await readdir(folder)).filter((name) => noticeFile.test(name)).toSorted();
  return Promise.all(files.map(async (name) => (await readFile(join(folder, name), 'utf8')).trim()));
}

/** Throws for a licence that has not been reviewed. */
export function accepted(licence: string | undefined, of: string): string {
  if (licence !== undefined && acceptedLicences.includes(licence)) return licence;
  throw new Error(
    `${of} is under ${licence ?? 'a licence that is not recognised'}: see whether it may be passed on, ` +
      'and then add it to dev/release/component.ts, or do without',
  );
}

/** By the words that each of these licences has and the others have not. */
export function licenceOf(text: string): string | undefined {
  const words = text.replaceAll(/\s+/g, ' ');
  if (/Apache License,? Version 2\.0/i.test(words)) return 'Apache-2.0';
  if (words.includes('Permission is hereby granted, free of charge')) return 'MIT';
  if (words.includes('Permission to use, copy, modify, and/or distribute this software')) return 'ISC';
  if (words.includes('Permission to use, copy, modify, and distribute this software')) return 'ISC';
  if (words.includes('Redistribution and use in source and binary forms')) {
    return /endorse or promote/i.test(words) ? 'BSD-3-Clause' : 'BSD-2-Clause';
  }
  return undefined;
}

/** One of each name and version, by name. */
export function sorted(components: Iterable<Component>): readonly Component[] {
  const byPurl = new Map([...components].map((one) => [one.purl, one]));
  return [...byPurl.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
}
