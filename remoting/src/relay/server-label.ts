import { basename } from 'node:path';

import { readEndpoint } from '../endpoint.js';

/**
 * What the devices of servers are called by, one for each URL: the host, or the file name of the socket without `.sock`;
 * numbered where several would have the same.
 */
export function serverLabels(urls: readonly URL[]): string[] {
  const used = new Set<string>();
  return urls.map((url) => {
    const label = freeLabel(url, used);
    used.add(label);
    return label;
  });
}

/** What one more server is called by. */
export function freeLabel(url: URL, used: ReadonlySet<string>): string {
  const label = labelOf(url);
  let free = label;
  for (let n = 2; used.has(free); n++) free = `${label}-${n}`;
  return free;
}

function labelOf(url: URL): string {
  const endpoint = readEndpoint(url);
  return endpoint.kind === 'unix' ? basename(endpoint.path).replace(/\.sock$/, '') : endpoint.host;
}
