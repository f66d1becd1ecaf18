// Sets up and shows the whole on real input: a pool server, a front end for functions, four functions that use the pool,
// each called over HTTP with a real file.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoCalls } from './demo/calls.mjs';
import { axle, Running } from './demo/running.mjs';
import { formatTable } from './demo/table.mjs';
import { isProgram } from './repository.mjs';
import { setUpOrExit } from './setup.mjs';

const HEADER = ['FUNCTION', 'INPUT', 'RESULT', 'DEVICE', 'QUEUE', 'TRANSFER', 'COMPUTE', 'TOTAL'];

/**
 * @param {string} folder for what the demo makes
 * @param {AbortSignal} signal
 */
async function demo(folder, signal) {
  const running = new Running(signal);
  try {
    const socket = join(folder, 'pool.sock');
    const metrics = join(folder, 'metrics.sock');
    say('A pool server, with the devices of this machine');
    await running.start(
      ['serve', '--listen', `unix:${socket}`, '--metrics', `unix:${metrics}`],
      /^listening on \S*pool\.sock$/m,
    );
    say('A front end for functions, which owns no device');
    const state = join(folder, 'state');
    const [, gateway = ''] = await running.start(
      [
        ...['faas', '--gateway', '127.0.0.1:0', '--metrics', 'none', '--state', state],
        ...['--pool', `axle+unix:${socket}`, '--pool-metrics', `http+unix:${metrics}`],
      ],
      /^listening on (http:\S+)$/m,
    );
    const rows = [];
    for (const call of demoCalls()) {
      const { name } = call;
      say(`Function ${name}`);
      const access = ['--gateway', gateway, '--password-file', join(state, 'password')];
      await axle(['function', 'push', `faas/examples/${name}`, ...access], signal);
      await axle(['function', 'deploy', name, ...access], signal);
      rows.push(...(await call.run(gateway, signal)));
    }
    console.log(`\n${formatTable(HEADER, rows)}`);
  } finally {
    await running.stop();
  }
}

/** @param {string} title */
function say(title) {
  console.log(`\n# ${title}`);
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
    const startedAt = performance.now();
    await demo(folder, interruption.signal);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    console.log(`axle: the demo passed in ${seconds} s`);
  } catch (error) {
    console.error(`axle: the demo failed: ${/** @type {Error} */ (error).message}`);
    process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
