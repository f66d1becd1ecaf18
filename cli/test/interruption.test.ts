import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resultOf, startCli, temporaryFolder } from './run-cli.js';

const MiB = 1024 * 1024;

/** Waits until the command has data on disk, under whatever name. */
async function untilWriting(folder: string): Promise<void> {
  const isWriting = () =>
    readdirSync(folder).some(
      (name) => name.startsWith('.axle-') && statSync(join(folder, name)).size > 0,
    );
  while (!isWriting()) await delay(10);
}

/** A command in the middle of its output, with more input to come. */
async function compressing(folder: string, ...options: string[]): Promise<ChildProcess> {
  const child = startCli(['compress', '-', '-o', 'out', ...options], { cwd: folder });
  child.stdin?.on('error', () => undefined);
  for (let i = 0; i < 32; i += 1) child.stdin?.write(randomBytes(MiB));
  await untilWriting(folder);
  return child;
}

describe('in the middle of an output', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s leaves nothing, and exits with %d', async (signal, code) => {
    const folder = temporaryFolder();
    const child = await compressing(folder);
    child.kill(signal);
    const result = await resultOf(child);
    expect(result).toMatchObject({ code, stderr: '' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('two signals at once leave nothing either', async () => {
    const folder = temporaryFolder();
    const child = await compressing(folder);
    child.kill('SIGINT');
    child.kill('SIGTERM');
    expect([130, 143]).toContain((await resultOf(child)).code);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('kill -9 leaves nothing under the name, and the old file where there was one', async () => {
    const folder = temporaryFolder();
    const first = await compressing(folder);
    first.kill('SIGKILL');
    await resultOf(first);
    expect(existsSync(join(folder, 'out'))).toBe(false);

    const other = temporaryFolder();
    writeFileSync(join(other, 'out'), 'old');
    const second = await compressing(other, '--force');
    second.kill('SIGKILL');
    await resultOf(second);
    expect(readFileSync(join(other, 'out'), 'utf8')).toBe('old');
  });
});

describe('while waiting for a pipe', () => {
  it.each(['input', 'output'])('SIGINT ends it: %s', async (side) => {
    const folder = temporaryFolder();
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    writeFileSync(join(folder, 'data'), 'data');
    const args = side === 'input' ? ['pipe', '-o', 'out'] : ['data', '-o', 'pipe'];
    const child = startCli(['compress', ...args], { cwd: folder });
    // Until the command handles signals, one would just kill it.
    await untilHandlingSignals(child);
    child.kill('SIGINT');
    expect((await resultOf(child)).code).toBe(130);
    expect(readdirSync(folder).sort()).toEqual(['data', 'pipe']);
  });
});

describe('waiting for a pipe', () => {
  it('ends at once, without a word', async () => {
    const folder = temporaryFolder();
    execFileSync('mkfifo', [join(folder, 'x.npy')]);
    // With a writer that writes nothing, the pipe neither gives anything nor ends.
    const writer = openSync(join(folder, 'x.npy'), 'r+');
    const child = startCli(['infer', 'mlp', '--input', 'image=x.npy'], { cwd: folder });
    await untilReading(child, join(folder, 'x.npy'));
    child.kill('SIGINT');
    // Not by the grace time: nothing that is cleaned up waits for the pipe.
    const grace = delay(2500).then(() => 'grace time');
    expect(await Promise.race([resultOf(child), grace])).toMatchObject({ code: 130, stderr: '' });
    closeSync(writer);
  });
});

async function untilReading(child: ChildProcess, path: string): Promise<void> {
  const folder = `/proc/${child.pid}/fd`;
  const target = (name: string) => {
    try {
      return readlinkSync(join(folder, name));
    } catch {
      return '';
    }
  };
  while (!readdirSync(folder).some((name) => target(name) === path)) await delay(10);
}

/** SIGHUP, which Node by itself leaves alone, is the first bit of the mask of caught signals (proc(5)). */
async function untilHandlingSignals(child: ChildProcess): Promise<void> {
  const caught = () => {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return (Number.parseInt(/SigCgt:\t\w*(\w)/.exec(status)?.[1] ?? '0', 16) & 1) !== 0;
  };
  while (!caught()) await delay(10);
}

describe('a reader that goes away', () => {
  it('ends the command without a word', async () => {
    const child = startCli(['compress', '-', '--level', '1']);
    child.stdin?.on('error', () => undefined);
    const result = resultOf(child);
    child.stdout?.once('data', () => child.stdout?.destroy());
    const noise = setInterval(() => child.stdin?.write(randomBytes(MiB)), 1);
    await once(child, 'exit');
    clearInterval(noise);
    child.stdin?.destroy();
    expect(await result).toMatchObject({ code: 141, stderr: '' });
  });
});

describe('a stream', () => {
  it('of any length takes constant memory', async () => {
    const inputBytes = 1024 * MiB;
    const child = startCli(['compress', '-']);
    // Half noise, half text; noise comes again only after more than zstd looks back.
    const pieces = Array.from({ length: 16 }, () =>
      Buffer.concat([randomBytes(MiB / 2), Buffer.alloc(MiB / 2, 'text ')]),
    );
    let outputBytes = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      outputBytes += chunk.byteLength;
    });
    for (let sent = 0; sent < inputBytes / MiB; sent += 1) {
      const piece = pieces[sent % pieces.length];
      if (child.stdin?.write(piece) === false) await once(child.stdin, 'drain');
    }
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const peakBytes = Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) * 1024;
    child.stdin?.end();
    expect(await resultOf(child)).toMatchObject({ code: 0 });
    expect(outputBytes).toBeGreaterThan(inputBytes / 4);
    expect(peakBytes).toBeLessThan(300 * MiB);
  }, 120_000);
});
