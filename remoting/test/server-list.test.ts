import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { AxleError } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { readPoolUrl, readServerLists, serversMax } from '../src/pool/server-list.js';

const folder = mkdtempSync(join(tmpdir(), 'axle-server-list-'));

async function read(url: string): Promise<string[]> {
  return (await readPoolUrl(new URL(url))).urls.map(({ href }) => href);
}

function file(text: string): string {
  const path = join(folder, 'servers');
  writeFileSync(path, text);
  return path;
}

describe('the URL of a pool', () => {
  it('names servers, with the plus of their scheme as it is or as %2B', async () => {
    const both = ['axle+tls://gpu1:7471', 'axle+unix:/run/gpu2.sock'];
    const plain = 'axle+pool:?server=axle+tls://gpu1:7471&server=axle+unix:/run/gpu2.sock';
    expect(await read(plain)).toEqual(both);
    const escaped = both.map((server) => `server=${encodeURIComponent(server)}`).join('&');
    expect(await read(`axle+pool:?${escaped}`)).toEqual(both);
  });

  it('names a file with a server on each line, and what follows a # is for people', async () => {
    const path = file('# two\naxle://gpu1\n\n  axle://gpu2:7000 # the other\n');
    expect(await read(`axle+pool:${path}`)).toEqual(['axle://gpu1', 'axle://gpu2:7000']);
  });

  it.each([
    ['axle+pool:', /names no servers/],
    ['axle+pool://gpu1', /names no servers/],
    ['axle+pool:/a?server=axle://b', /names no servers/],
    ['axle+pool:?servers=axle://b', /'servers' .* is not known/],
    ['axle+pool:?server=http://b', /'http:\/\/b' is no server/],
    ['axle+pool:?server=', /'' is no server/],
    ['axle+pool:?server=%zz', /has a % that/],
    ['axle+pool:?server=axle://a&server=axle://a', /given twice/],
    ['axle+pool:?server=axle+unix:a', /names no socket/],
  ])('%s is refused with what is wrong', async (url, message) => {
    await expect(read(url)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    });
  });

  it('keeps secrets out of what it says', async () => {
    await expect(read('axle+pool:?server=http://me:secret@b')).rejects.toMatchObject({
      message: expect.not.stringContaining('secret') as string,
    });
  });

  it('says of a file that is not there which it is', async () => {
    await expect(read('axle+pool:/no/such/file')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('/no/such/file') as string,
    });
  });

  it('has room for so many and no more', async () => {
    const lines = (count: number) =>
      Array.from({ length: count }, (_, i) => `axle://gpu${i}`).join('\n');
    expect(await read(`axle+pool:${file(lines(serversMax))}`)).toHaveLength(serversMax);
    await expect(read(`axle+pool:${file(lines(serversMax + 1))}`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('lists of servers', () => {
  it('are URLs with commas between them, or paths of files', async () => {
    const lists = ['axle://a, axle://b', '/etc/axle/servers'];
    const servers = await readServerLists(lists, (path) =>
      Promise.resolve(Buffer.from(`axle://of-${path.split('/').at(-1)}`)),
    );
    expect(servers.urls.map(({ host }) => host)).toEqual(['a', 'b', 'of-servers']);
    expect(servers.drained.size).toBe(0);
  });

  it.each([
    ['http://gpu1', 'INVALID_ARGUMENT', /'http:\/\/gpu1' is no server of a pool; give axle/],
    ['', 'INVALID_ARGUMENT', /'' is no server/],
    ['gpu1:7471', 'NOT_FOUND', /'gpu1:7471'.*; give the path of a file .* or URLs .*axle\+tls:/],
  ])('%j is refused with what is to be given', async (list, code, message) => {
    const read = (path: string) =>
      Promise.reject(new AxleError('NOT_FOUND', `there is no '${path}'`));
    await expect(readServerLists([list], read)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('mark servers that are to be emptied, and nothing else', async () => {
    const text = 'axle://a\naxle://b drain # for new memory\naxle://c   drain\n';
    const read = (list: string) =>
      readServerLists([list], () => Promise.resolve(Buffer.from(text)));
    for (const list of ['/etc/axle/servers', 'axle://a,axle://b drain, axle://c drain']) {
      const { urls, drained } = await read(list);
      expect(urls.map(({ host }) => host)).toEqual(['a', 'b', 'c']);
      expect([...drained]).toEqual(['axle://b', 'axle://c']);
    }
    for (const wrong of ['axle://a drained', 'axle://a drain drain', 'axle://a\tdrain x']) {
      await expect(read(wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await expect(read('axle://a,axle://a drain')).rejects.toThrow(/given twice/);
  });
});
