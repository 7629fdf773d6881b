/** Names for kubeconfig entries, from whatever a server calls its things. Loads nothing. */
/** `[a-z0-9.-]{1,63}`, starting and ending with a letter or digit. */
export function slug(text: string): string {
  const cleaned = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 63)
    .replace(/[.-]+$/, '');
  return cleaned === '' ? 'tka' : cleaned;
}
