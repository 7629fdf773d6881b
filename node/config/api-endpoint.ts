/**
 * Settings about the API server's address and CA for users. Without TLS, kubectl would send no credential at all.
 */
import { X509Certificate } from 'node:crypto';
import { type LoadedConfig, type Problem, sourced, waysToSet } from './index.ts';

/** Problems in the settings alone; the ConfigMap is read when the server starts. */
export function clusterInfoProblems(loaded: Pick<LoadedConfig, 'values' | 'sources'>): readonly Problem[] {
  const { values } = loaded;
  const [endpoint, ca, fromMap] = [
    'clusterInfo.apiEndpoint',
    'clusterInfo.caData',
    'clusterInfo.configMapRef.enabled',
  ] as const;
  const problems: Problem[] = [];
  if (values[endpoint] !== '' && values[fromMap]) {
    const message = `${sourced(loaded, endpoint)} and ${sourced(loaded, fromMap)} are both set: remove one of them`;
    problems.push({ keys: [endpoint, fromMap], message });
  }
  if (values[endpoint] !== '' && httpsUrl(values[endpoint]) === undefined) {
    const message = `${sourced(loaded, endpoint)} must be an https URL, not ${JSON.stringify(values[endpoint])}: kubectl sends no credential without TLS; set it with ${waysToSet(endpoint)}`;
    problems.push({ keys: [endpoint], message });
  }
  if (certificates(values[ca]) === undefined) {
    const message = `${sourced(loaded, ca)} must be base64 of PEM certificates: base64 -w0 ca.crt; set it with ${waysToSet(ca)}`;
    problems.push({ keys: [ca], message });
  }
  return problems;
}

/** The address as an https URL; released servers take one without a scheme. Undefined for any other scheme. */
export function httpsUrl(server: string): string | undefined {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(server) ? server : `https://${server}`;
  return URL.canParse(url) && new URL(url).protocol === 'https:' ? url : undefined;
}

/** The base64 without its line breaks; undefined where it holds no certificates. */
export function certificates(caData: string): string | undefined {
  if (caData === '') return '';
  const plain = caData.replaceAll(/\s+/g, '');
  const pem = Buffer.from(plain, 'base64').toString('latin1');
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.length > 0 && found.every(isCertificate) ? plain : undefined;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
