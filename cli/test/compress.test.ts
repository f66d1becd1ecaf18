import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { axlePath, runCli, temporaryFolder } from './run-cli.js';

const codecs = [
  ['zstd', '.zst', 'zstd'],
  ['lz4', '.lz4', 'lz4'],
  ['gzip', '.gz', 'gzip'],
] as const;

/** For shell scripts. */
const command = [process.execPath, axlePath];

/** Compresses, but not to nothing. */
function someData(bytes: number): Buffer {
  const data = Buffer.alloc(bytes, 'All work and no play makes Jack a dull boy. ');
  for (let at = 0; at < bytes; at += 61) data[at] = (at * 131) & 0xff;
  return data;
}

/** A folder with a file `data` in it. */
function folderWith(data: Uint8Array): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'data'), data);
  return folder;
}

describe.each(codecs)('compress --codec %s', (codec, suffix, tool) => {
  it(`writes a file that ${tool} reads, and decompress gives it back`, async () => {
    const data = someData(300_000);
    const folder = folderWith(data);
    chmodSync(join(folder, 'data'), 0o640);
    const packed = await runCli(['compress', 'data', '--codec', codec], { cwd: folder });
    expect(packed).toMatchObject({ code: 0, stdout: Buffer.alloc(0) });
    expect(packed.stderr).toMatch(
      /^data -> data\.\w+: 300 kB -> \S+ kB, ratio \d\S+, \S+ MB\/s, cpu-fallback:0\n$/,
    );
    const file = join(folder, `data${suffix}`);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(execFileSync(tool, ['-dc', file]).equals(data)).toBe(true);

    const again = await runCli(['decompress', file, '-o', 'back'], { cwd: folder });
    expect(again.code).toBe(0);
    expect(readFileSync(join(folder, 'back')).equals(data)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['back', 'data', `data${suffix}`]);
  });

  it(`reads what ${tool} writes, through pipes`, async () => {
    const data = someData(100_000);
    const packed = execFileSync(tool, ['-c'], { input: data });
    const { code, stdout } = await runCli(['decompress', '-'], { input: packed });
    expect(code).toBe(0);
    expect(stdout.equals(data)).toBe(true);
    const again = await runCli(['compress', '-', '--codec', codec], { input: data });
    expect(execFileSync(tool, ['-dc'], { input: again.stdout }).equals(data)).toBe(true);
  });

  it('takes nothing, and gives nothing back', async () => {
    const packed = await runCli(['compress', '-', '--codec', codec]);
    expect(packed.code).toBe(0);
    const { code, stdout } = await runCli(['decompress', '-'], { input: packed.stdout });
    expect([code, stdout.byteLength]).toEqual([0, 0]);
  });

  it.each([
    ['cut short', (file: Buffer) => file.subarray(0, file.length - 20)],
    ['changed in the middle', (file: Buffer) => flipped(file, file.length >> 1)],
    ['followed by garbage', (file: Buffer) => Buffer.concat([file, Buffer.from('garbage')])],
    ['replaced by text', () => Buffer.from('this is no archive at all')],
    ['emptied', () => Buffer.alloc(0)],
  ])('refuses an archive that was %s, and leaves nothing behind', async (_what, damage) => {
    const packed = await runCli(['compress', '-', '--codec', codec], { input: someData(200_000) });
    const folder = temporaryFolder();
    writeFileSync(join(folder, `data${suffix}`), damage(packed.stdout));
    const { code, stderr } = await runCli(['decompress', `data${suffix}`], { cwd: folder });
    expect(stderr).toMatch(/^axle: [^\n]+\n$/);
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual([`data${suffix}`]);
  });
});

function flipped(file: Buffer, at: number): Buffer {
  const copy = Buffer.from(file);
  copy[at] = (copy[at] as number) ^ 0x55;
  return copy;
}

describe('compress --json', () => {
  const shape = {
    codec: 'gzip',
    level: 9,
    inputBytes: 50_000,
    device: 'cpu-fallback:0',
  };

  it('prints one object', async () => {
    const folder = folderWith(someData(50_000));
    const args = ['compress', 'data', '--codec', 'gzip', '--level', '9', '--json'];
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect([code, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout.toString()) as { timingMs: { total: number } };
    const outputBytes = statSync(join(folder, 'data.gz')).size;
    expect(report).toMatchObject({ ...shape, input: 'data', output: 'data.gz', outputBytes });
    expect(report.timingMs.total).toBeGreaterThan(0);

    const back = await runCli(['decompress', 'data.gz', '-o', 'back', '--json'], { cwd: folder });
    expect(JSON.parse(back.stdout.toString())).toMatchObject({
      input: 'data.gz',
      output: 'back',
      codec: 'gzip',
      inputBytes: outputBytes,
      outputBytes: 50_000,
    });
  });

  it('prints it on stderr when the data goes to stdout', async () => {
    const folder = folderWith(someData(50_000));
    const args = ['compress', 'data', '-o', '-', '--codec', 'gzip', '--level', '9', '--json'];
    const { stdout, stderr } = await runCli(args, { cwd: folder });
    expect(JSON.parse(stderr)).toMatchObject({ ...shape, output: '-' });
    expect(stdout.subarray(0, 2).toString('hex')).toBe('1f8b');
  });
});

describe('levels', () => {
  it('give smaller files as they rise', async () => {
    const folder = folderWith(someData(400_000));
    for (const level of ['1', '19']) {
      await runCli(['compress', 'data', '-o', level, '--level', level], { cwd: folder });
    }
    const size = (name: string) => statSync(join(folder, name)).size;
    expect(size('19')).toBeLessThan(size('1'));
  });
});

describe('an output', () => {
  it('is not overwritten without --force', async () => {
    const folder = folderWith(someData(1000));
    writeFileSync(join(folder, 'data.zst'), 'precious');
    const refused = await runCli(['compress', 'data'], { cwd: folder });
    expect(refused.stderr).toBe('axle: data.zst exists; choose another name or pass --force\n');
    expect(refused.code).toBe(1);
    expect(readFileSync(join(folder, 'data.zst'), 'utf8')).toBe('precious');
    const forced = await runCli(['compress', 'data', '--force'], { cwd: folder });
    expect(forced.code).toBe(0);
    expect(execFileSync('zstd', ['-dc', join(folder, 'data.zst')]).byteLength).toBe(1000);
  });

  it('that is a device is written to directly', async () => {
    const folder = folderWith(someData(1000));
    const discarded = await runCli(['compress', 'data', '-o', '/dev/null'], { cwd: folder });
    expect(discarded.code).toBe(0);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    const full = await runCli(['compress', 'data', '-o', '/dev/full'], { cwd: folder });
    expect(full.stderr).toBe('axle: /dev/full: no space left on device\n');
    expect(full.code).toBe(1);
  });

  it('that is a pipe is written to directly', () => {
    const folder = folderWith(someData(1_000_000));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const script = `zstd -dc < pipe > back & "$@" && wait`;
    execFileSync('bash', ['-c', script, 'bash', ...command, 'compress', 'data', '-o', 'pipe'], {
      cwd: folder,
      stdio: 'pipe',
    });
    expect(readFileSync(join(folder, 'back')).equals(someData(1_000_000))).toBe(true);
  });

  it('on a full stdout is an error', () => {
    const folder = folderWith(someData(1000));
    const script = `"$@" > /dev/full 2> error; echo $? > code`;
    execFileSync('bash', ['-c', script, 'bash', ...command, 'compress', 'data', '-o', '-'], {
      cwd: folder,
    });
    expect(readFileSync(join(folder, 'error'), 'utf8')).toBe(
      'axle: standard output: no space left on device\n',
    );
    expect(readFileSync(join(folder, 'code'), 'utf8')).toBe('1\n');
  });

  it('that grows past what the system allows leaves nothing behind', () => {
    const folder = folderWith(someData(4_000_000));
    // In units of 1024 bytes. The system then fails writes as it does on a full disk.
    const script = `ulimit -f 100; "$@" 2> error; echo $? > code`;
    execFileSync(
      'bash',
      ['-c', script, 'bash', ...command, 'decompress', 'data.zst', '-o', 'back'],
      { cwd: packedIn(folder) },
    );
    expect(readFileSync(join(folder, 'error'), 'utf8')).toBe('axle: back: file too large\n');
    expect(readFileSync(join(folder, 'code'), 'utf8')).toBe('1\n');
    expect(existsSync(join(folder, 'back'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.axle'))).toEqual([]);
  });
});

function packedIn(folder: string): string {
  execFileSync('zstd', ['-q', join(folder, 'data')]);
  return folder;
}

describe('an input', () => {
  it.each([
    ['missing', 'axle: missing: no such file or directory\n'],
    ['folder', 'axle: folder is a directory; give a file\n'],
    ['data/below', 'axle: data/below: not a directory\n'],
    ['x'.repeat(300), `axle: ${'x'.repeat(300)}: name too long\n`],
    ['/proc/self/mem', 'axle: /proc/self/mem: i/o error\n'],
  ])('%s is refused in one line', async (name, message) => {
    const folder = folderWith(Buffer.from('data'));
    mkdirSync(join(folder, 'folder'));
    const { code, stderr } = await runCli(['compress', name, '-o', 'out'], { cwd: folder });
    expect(stderr).toBe(message);
    expect(code).toBe(1);
    expect(readdirSync(folder).sort()).toEqual(['data', 'folder']);
  });

  it('that is a pipe is read to its end', () => {
    const folder = folderWith(someData(3_000_000));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const script = `{ sleep 0.2; cat data; } > pipe & "$@" && wait`;
    execFileSync('bash', ['-c', script, 'bash', ...command, 'compress', 'pipe', '-o', 'out'], {
      cwd: folder,
      stdio: 'pipe',
    });
    const back = execFileSync('zstd', ['-dc', join(folder, 'out')], { maxBuffer: 2 ** 26 });
    expect(back.equals(someData(3_000_000))).toBe(true);
  });
});

describe('a bomb', () => {
  it('is refused past --max-bytes', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'bomb.gz'), gzipSync(Buffer.alloc(50_000_000)));
    const args = ['decompress', 'bomb.gz', '--max-bytes', '10M'];
    const { code, stderr } = await runCli(args, { cwd: folder });
    expect(stderr).toMatch(/^axle: bomb\.gz holds more than 10485760 bytes; .*--max-bytes.*\n$/);
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual(['bomb.gz']);
    const all = await runCli(['decompress', 'bomb.gz', '--max-bytes', '50M'], { cwd: folder });
    expect(all.code).toBe(0);
    expect(statSync(join(folder, 'bomb')).size).toBe(50_000_000);
  });

  it('is refused without it too', async () => {
    const folder = temporaryFolder();
    const bomb = join(folder, 'bomb.zst');
    execFileSync('bash', ['-c', 'head -c 2200000000 /dev/zero | zstd -q -1 -o "$1"', 'bash', bomb]);
    const { code, stderr } = await runCli(['decompress', bomb, '-o', '/dev/null']);
    expect(stderr).toMatch(/holds more than 2147483648 bytes/);
    expect(code).toBe(1);
  }, 120_000);
});
