import { describe, expect, it } from 'vitest';

import { codecOf, compressedName, decompressedName } from '../src/codec-files.js';
import { oneLine } from '../src/failure.js';
import { mapInOrder } from '../src/ordered-map.js';
import { printable } from '../src/printable.js';
import { Progress, progressLine } from '../src/progress.js';
import { formatTable } from '../src/table.js';
import { painterFor } from '../src/terminal.js';
import { formatBytes, formatMs, formatRate, parseBytes } from '../src/units.js';

describe('units', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [12_345, '12.3 kB'],
    [999_999, '1.00 MB'],
    [4 * 1024 ** 3, '4.29 GB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('has rates and times', () => {
    expect(formatRate(5_000_000, 10)).toBe('500 MB/s');
    expect(formatRate(5, 0)).toBe('- MB/s');
    expect(formatMs(1234)).toBe('1.23 s');
  });

  it.each([
    ['500', 500],
    ['64K', 65536],
    ['2G', 2 ** 31],
    ['1MiB', 2 ** 20],
    ['1.5G', undefined],
    ['-1', undefined],
    ['', undefined],
    ['9999999T', undefined],
  ])('%s is %s bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));
});

describe('names of compressed files', () => {
  it.each([
    ['a.txt.zst', 'a.txt'],
    ['dir/a.LZ4', 'dir/a'],
    ['a.gz', 'a'],
    ['a.tgz', 'a.tar'],
    ['a.txt', undefined],
    ['dir/.gz', undefined],
  ])('%s becomes %s', (file, plain) => expect(decompressedName(file)).toBe(plain));

  it('add a suffix', () => {
    expect(compressedName('a', 'zstd')).toBe('a.zst');
    expect(compressedName('a', 'lz4')).toBe('a.lz4');
    expect(compressedName('a', 'gzip')).toBe('a.gz');
  });

  it('are told from the first bytes', () => {
    expect(codecOf(Buffer.from('28b52ffd', 'hex'))).toBe('zstd');
    expect(codecOf(Buffer.from('04224d18', 'hex'))).toBe('lz4');
    expect(codecOf(Buffer.from('1f8b08', 'hex'))).toBe('gzip');
    expect(codecOf(Buffer.from('PK'))).toBeUndefined();
  });
});

describe('text for terminals', () => {
  it('cannot steer them', () => {
    expect(printable('a\u001b[2Jb\nc')).toBe('a\\u001b[2Jb\\u000ac');
    expect(oneLine(new Error('first\n  second\u0007'))).toBe('first; second\\u0007');
  });

  it('is coloured only on a terminal, and never under NO_COLOR', () => {
    const terminal = { isTTY: true };
    expect(painterFor(terminal, {})('bold', 'x')).not.toBe('x');
    expect(painterFor(terminal, { NO_COLOR: '1' })('bold', 'x')).toBe('x');
    expect(painterFor(terminal, { TERM: 'dumb' })('bold', 'x')).toBe('x');
    expect(painterFor({ isTTY: false }, {})('bold', 'x')).toBe('x');
  });

  it('lines up in tables', () => {
    const table = formatTable(
      ['A', 'LONG'],
      [
        ['one', 'x'],
        ['2', '\ty'],
      ],
      (_style, text) => text,
    );
    expect(table).toBe('A    LONG\none  x\n2    \\u0009y\n');
  });
});

describe('progress', () => {
  it('says how far, how fast and how long still', () => {
    const options = { label: 'compress', total: 1000, unit: 'bytes' } as const;
    expect(progressLine(options, 250, 1000)).toBe(
      'compress [======                  ]  25%  250 B/1.00 kB  250 B/s  0:03 left',
    );
    expect(progressLine({ ...options, total: undefined }, 5000, 1000)).toBe(
      'compress  5.00 kB  5.00 kB/s',
    );
    // A file that grew while it was read.
    expect(progressLine(options, 2000, 1000)).toContain('100%');
  });

  it('draws nothing where stderr is no terminal', () => {
    const written: string[] = [];
    const stream = { isTTY: false, columns: 80, write: (text: string) => written.push(text) > 0 };
    const progress = new Progress({ label: 'x', total: 1, unit: 'items' }, stream);
    progress.advance(1);
    progress.stop();
    expect(written).toEqual([]);
  });
});

describe('mapInOrder', () => {
  it('keeps the order and the bound, whatever order the work ends in', async () => {
    const release: (() => void)[] = [];
    let running = 0;
    let most = 0;
    const work = async (item: number) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => {
        release.push(resolve);
        // The last one that started ends first.
        if (release.length === 3) for (const end of release.splice(0).reverse()) end();
      });
      running -= 1;
      return item * 10;
    };
    const results: number[] = [];
    for await (const result of mapInOrder([1, 2, 3, 4, 5, 6], 3, work)) results.push(result);
    expect(results).toEqual([10, 20, 30, 40, 50, 60]);
    expect(most).toBe(3);
  });

  it('gives the failure of an item in its turn', async () => {
    const work = (item: number) =>
      item === 2 ? Promise.reject(new Error('two')) : Promise.resolve(item);
    const results: number[] = [];
    const run = async () => {
      for await (const result of mapInOrder([1, 2, 3], 3, work)) results.push(result);
    };
    await expect(run()).rejects.toThrow('two');
    expect(results).toEqual([1]);
  });
});
