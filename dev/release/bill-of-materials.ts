/**
 * A bill of materials in CycloneDX 1.6: what is in one package, or in the image, that we publish. Without a time, and with a serial number made
 * from its content: the same package has the same bill.
 */
import { createHash } from 'node:crypto';
import type { Component } from './component.ts';

/** A system's package has its licence in the system, not here. */
export type Part = Omit<Component, 'licence' | 'texts'> & Partial<Pick<Component, 'licence'>>;

export interface Subject {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly description: string;
  /** Default: a package of npm. */
  readonly purl?: string;
}

export function renderBillOfMaterials(subject: Subject, components: readonly Part[]): string {
  const purl = subject.purl ?? `pkg:npm/${subject.name.replace('@', '%40')}@${subject.version}`;
  const bill = {
    metadata: {
      component: {
        type: 'application',
        'bom-ref': purl,
        name: subject.name,
        version: subject.version,
        description: subject.description,
        licenses: [{ license: { id: subject.licence } }],
        purl,
      },
    },
    components: components.map(({ name, version, licence, purl: ref, sha512, goSum }) => ({
      type: 'library',
      'bom-ref': ref,
      name,
      version,
      scope: 'required',
      ...(sha512 === undefined ? {} : { hashes: [{ alg: 'SHA-512', content: sha512 }] }),
      ...(goSum === undefined ? {} : { properties: [{ name: 'tka:go-sum', value: goSum }] }),
      ...(licence === undefined ? {} : { licenses: [{ license: { id: licence } }] }),
      purl: ref,
    })),
    dependencies: [
      { ref: purl, dependsOn: components.map((component) => component.purl) },
      ...components.map((component) => ({ ref: component.purl })),
    ],
  };
  const serial = asUuid(createHash('sha256').update(JSON.stringify(bill)).digest('hex'));
  const head = { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber: `urn:uuid:${serial}`, version: 1 };
  return `${JSON.stringify({ ...head, ...bill }, undefined, 2)}\n`;
}

/** RFC 9562, version 8: bits of one's own. */
function asUuid(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}
