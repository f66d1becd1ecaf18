import { readFile } from 'node:fs/promises';

import { asAxleError, AxleError, fileError } from '@axle/core/internal';

import { endpointSchemes, readEndpoint } from '../endpoint.js';

/** Servers of one pool. */
export const serversMax = 256;
/** A file of them, bytes. */
export const listBytesMax = 1024 * 1024;

/** The servers of a pool. */
export interface ServerList {
  readonly urls: readonly URL[];
  /** Of these, as `href`, those that are to be emptied: they stay in the list, and get nothing new. */
  readonly drained: ReadonlySet<string>;
}

const example = 'axle+tls://HOST:PORT, axle://HOST:PORT or axle+unix:/PATH';

/**
 * Reads the servers that a URL of a pool names: `axle+pool:?server=URL&server=URL`, where characters that would end the
 * value are written as %xx, or `axle+pool:/PATH` of a file with one URL on each line. A URL with
 * ` drain` after it is that of a server that is to be emptied.
 *
 * @throws AxleError INVALID_ARGUMENT saying what it should look like; NOT_FOUND and so on for the file.
 */
export async function readPoolUrl(url: URL): Promise<ServerList> {
  const path = listPathOf(url);
  if (url.host !== '' || (path === '') === (url.search === '')) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${url.href} names no servers; give axle+pool:?server=URL&server=URL, or axle+pool:/PATH of a file with a URL on each line`,
    );
  }
  if (path !== '') return readServerFile(path);
  return checkServers(
    url.search
      .slice(1)
      .split('&')
      .map((part) => serverOf(part, url.href)),
  );
}

/** Of the file that a URL of a pool names; '': it names the servers itself. */
export function listPathOf(url: URL): string {
  return decoded(url.pathname, url.href);
}

/**
 * Reads `--servers`: URLs with commas between them, or the path of a file with one on each line.
 *
 * @param read the bytes of a file
 * @throws as `readPoolUrl`.
 */
export async function readServerLists(
  lists: readonly string[],
  read: (path: string) => Promise<Buffer>,
): Promise<ServerList> {
  const texts = lists.map(async (list) => {
    if (isServerList(list)) return list.split(',').map((text) => text.trim());
    return linesOf((await readNamed(list, read)).toString('utf8'));
  });
  return checkServers((await Promise.all(texts)).flat());
}

/** Whether it is no path of a file of them: URLs, right or wrong. */
export function isServerList(text: string): boolean {
  return /^axle(\+\w+)?:/.test(text) || text.includes('://') || text === '';
}

/** @throws AxleError as `read`; where there is no such file, with what else was to be given. */
async function readNamed(path: string, read: (path: string) => Promise<Buffer>): Promise<Buffer> {
  try {
    return await read(path);
  } catch (error) {
    const { code, message } = asAxleError(error);
    if (code !== 'NOT_FOUND') throw error;
    const advice = `give the path of a file with a URL on each line, or URLs with commas between them, as ${example}`;
    throw new AxleError(code, `${message}; ${advice}`, { cause: error });
  }
}

export async function readServerFile(path: string): Promise<ServerList> {
  return checkServers(linesOf(await textOf(path)));
}

async function textOf(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw fileError(`cannot read the list of servers '${path}'`, error);
  }
  if (bytes.byteLength <= listBytesMax) return bytes.toString('utf8');
  throw new AxleError(
    'INVALID_ARGUMENT',
    `the list of servers '${path}' has ${bytes.byteLength} bytes, and ${listBytesMax} are the most; give one URL on each line`,
  );
}

/** Without what follows a # and empty lines. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

/** Not by URLSearchParams, which would take the plus of `axle+tls:` for a space. */
function serverOf(part: string, href: string): string {
  const at = part.indexOf('=');
  const key = at < 0 ? part : part.slice(0, at);
  if (key !== 'server') {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `'${key}' in ${href} is not known; the only parameter of axle+pool: is 'server', which may be repeated`,
    );
  }
  return decoded(part.slice(at + 1), href);
}

function decoded(text: string, href: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AxleError('INVALID_ARGUMENT', `${href} has a % that two hex digits do not follow`);
  }
}

function checkServers(texts: readonly string[]): ServerList {
  if (texts.length === 0 || texts.length > serversMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `a pool has from 1 to ${serversMax} servers, and ${texts.length} are given; a server is ${example}`,
    );
  }
  const drained = new Set<string>();
  const urls = texts.map((text) => {
    const marked = /^(.*\S)\s+drain$/.exec(text);
    const url = readServer(marked?.[1] ?? text);
    if (marked !== null) drained.add(url.href);
    return url;
  });
  const known = new Set<string>();
  for (const { href } of urls) {
    if (known.has(href)) {
      throw new AxleError('INVALID_ARGUMENT', `the server ${href} is given twice; give it once`);
    }
    known.add(href);
  }
  return { urls, drained };
}

function readServer(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !endpointSchemes.has(url.protocol)) {
    // Without what may be a secret.
    const shown = text.replace(/\/\/.*@/, '//');
    throw new AxleError('INVALID_ARGUMENT', `'${shown}' is no server of a pool; give ${example}`);
  }
  readEndpoint(url);
  return url;
}
