// Sets up, starts a pool server, and boots a unikernel of some ten kilobytes that has it classify an image.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { Running } from './demo/running.mjs';
import { buildGuest } from './guests.mjs';
import { isProgram, ROOT } from './repository.mjs';
import { setUpOrExit } from './setup.mjs';

/**
 * @param {string} folder for what the demo makes
 * @param {AbortSignal} signal
 * @returns {Promise<string>} what the unikernel found, and when
 */
async function demo(folder, signal) {
  const running = new Running(signal);
  try {
    console.log('# A unikernel with an image in it');
    const guest = buildGuest('classify');
    console.log(`${relative(ROOT, guest)}, ${statSync(guest).size} bytes`);
    console.log('\n# A pool server, with the devices of this machine');
    const socket = join(folder, 'pool.sock');
    await running.start(['serve', '--listen', `unix:${socket}`], /^listening on \S*pool\.sock$/m);
    // The first call of a server loads the model.
    await runGuest(guest, socket, signal);
    console.log('\n# The unikernel');
    const { serial, firstByteMs, firstResultMs, emulated } = await runGuest(guest, socket, signal);
    process.stdout.write(serial);
    const [, label = ''] = /^classify (\S+) /m.exec(serial) ?? [];
    const how = emulated ? ', on a processor that QEMU emulates' : '';
    return `${label}: first byte ${firstByteMs.toFixed(0)} ms, first result ${firstResultMs.toFixed(0)} ms after the start${how}`;
  } finally {
    await running.stop();
  }
}

/**
 * @param {string} guest
 * @param {string} socket
 * @param {AbortSignal} signal
 */
async function runGuest(guest, socket, signal) {
  const args = ['cli/dist/main.js', '--on', `axle+unix:${socket}`, 'guest', 'run', guest, '--json'];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  const closed = once(child, 'close');
  const [said, [code]] = await Promise.all([text(child.stdout), closed]);
  if (code !== 0) throw new Error(`axle guest run ended with ${code}`);
  return JSON.parse(said);
}

if (isProgram(import.meta.url)) {
  await setUpOrExit();
  const folder = mkdtempSync(join(tmpdir(), 'axle-demo-'));
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) {
    process.once(name, () => {
      interruption.abort(new Error('interrupted'));
    });
  }
  try {
    const found = await demo(folder, interruption.signal);
    console.log(`\n${found}`);
  } catch (error) {
    console.error(`axle: the demo failed: ${/** @type {Error} */ (error).message}`);
    process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
