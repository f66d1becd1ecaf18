import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../cli/bin/axle.js', import.meta.url));
const SOURCE = fileURLToPath(import.meta.url);

/**
 * Peak resident memory, in MB, of `axle compress - -o /dev/null` while `bytes` go through it.
 *
 * @param {number} bytes
 */
export async function streamPeakMB(bytes) {
  const child = spawn(process.execPath, [COMMAND, 'compress', '-', '-o', '/dev/null'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  let peakKB = 0;
  const watch = setInterval(() => {
    void peakOf(child.pid).then((kB) => (peakKB = Math.max(peakKB, kB)));
  }, 100);
  try {
    const exit = new Promise((resolve) => child.once('close', resolve));
    await pipeline(Readable.from(pieces(bytes)), child.stdin);
    const code = await exit;
    if (code !== 0) throw new Error(`axle compress exited ${String(code)}`);
  } finally {
    clearInterval(watch);
  }
  return (peakKB * 1024) / 1_000_000;
}

/** @param {number} bytes */
async function* pieces(bytes) {
  const text = await readFile(SOURCE);
  const piece = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < piece.length; at++)
    piece[at] = (text[at % text.length] ?? 0) ^ ((at >> 12) & 7);
  for (let sent = 0; sent < bytes; sent += piece.length) {
    piece.writeDoubleLE(sent, (sent / piece.length) % 1000);
    yield Buffer.from(piece);
  }
}

/** VmHWM is the kernel's own high-water mark. @param {number | undefined} pid */
async function peakOf(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
}
