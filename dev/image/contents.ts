/**
 * What is in the server's image, and how it starts. The Dockerfile makes the same image elsewhere; a test holds the two together.
 *
 * Two layers: Node with what it needs of a system, which changes with its releases alone, and tka.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import type { LayerEntry } from './layer.ts';
import { sharedLibraries } from './shared-libraries.ts';
import type { Architecture } from './shared-libraries.ts';

export interface ImageInputs {
  readonly architecture: Architecture;
  /** Path of a Node for glibc. */
  readonly node: string;
  /** Path of the engine. */
  readonly engine: string;
  /** A root file system that has glibc 2.34 or newer and libstdc++: `/`, or one unpacked for another processor. */
  readonly root: string;
  /** The folder that dev/build-bundles.ts wrote. */
  readonly bundles: string;
  /** Text of the licence. */
  readonly license: string;
}

const home = '/usr/local/lib/tka';
const roots = '/etc/ssl/certs/ca-certificates.crt';

/** As an image's configuration has it. */
export const imageConfig = {
  User: '65532:65532',
  WorkingDir: '/',
  Env: ['PATH=/usr/local/bin:/usr/bin:/bin', `SSL_CERT_FILE=${roots}`],
  Entrypoint: ['/usr/local/bin/node', `${home}/tka-server.js`],
  Cmd: ['serve'],
} as const;

/** Where in the image the parts of tka are. */
export const places = {
  node: '/usr/local/bin/node',
  server: `${home}/tka-server.js`,
  chunks: `${home}/chunks/tka-server`,
  engine: `${home}/engine/tka-engine`,
  /** Says that the scripts are modules. */
  package: `${home}/package.json`,
  license: `${home}/LICENSE`,
} as const;

export function imageLayers(inputs: ImageInputs): readonly (readonly LayerEntry[])[] {
  return [systemLayer(inputs), tkaLayer(inputs)];
}

function systemLayer({ node, architecture, root }: ImageInputs): readonly LayerEntry[] {
  const text = (path: string, lines: readonly string[]): LayerEntry => ({
    path,
    mode: 0o644,
    content: Buffer.from(`${lines.join('\n')}\n`),
  });
  return [
    text('/etc/passwd', ['root:x:0:0:root:/:/nologin', 'nonroot:x:65532:65532:nonroot:/tmp:/nologin']),
    text('/etc/group', ['root:x:0:', 'nonroot:x:65532:']),
    text('/etc/nsswitch.conf', ['hosts: files dns']),
    // Those that Node itself trusts: the same wherever the image is built.
    text(roots, getCACertificates('bundled')),
    { path: '/tmp', mode: 0o1777 },
    program(places.node, node),
    ...sharedLibraries(node, architecture, root).map((path) => program(path, join(root, path))),
  ];
}

function tkaLayer({ bundles, engine, license }: ImageInputs): readonly LayerEntry[] {
  const chunks = join(bundles, 'chunks/tka-server');
  return [
    program(places.engine, engine),
    program(places.server, join(bundles, 'tka-server.js')),
    ...readdirSync(chunks).map((file) => ({
      path: `${places.chunks}/${file}`,
      mode: 0o644,
      content: readFileSync(join(chunks, file)),
    })),
    { path: places.package, mode: 0o644, content: Buffer.from('{"type":"module"}\n') },
    { path: places.license, mode: 0o644, content: Buffer.from(license) },
  ];
}

function program(path: string, file: string): LayerEntry {
  return { path, mode: 0o755, content: readFileSync(file) };
}
