import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { median, row } from '../row.mjs';
import { axleServer, started } from './echo-pair.mjs';

const ROUNDS = 3;
const P99_MS = 5;
const NAME = '64 B beside an upload of 1 GiB, p99';

const client = fileURLToPath(new URL('./upload-client.mjs', import.meta.url));

/**
 * Small calls on a connection that is busy with a large one.
 *
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<import('../row.mjs').Row[]>}
 */
export async function benchUpload(progress, only) {
  if (!NAME.includes(only)) return [];
  progress(NAME);
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  const server = await axleServer(join(folder, 'axle.sock'));
  try {
    const child = await started(process.execPath, [client, join(folder, 'axle.sock')]);
    const figures = [];
    for (let round = 0; round < ROUNDS; round++) {
      figures.push(
        /** @type {{ p99Ms: number, aloneP99Ms: number, uploadSeconds: number }} */ (
          JSON.parse(await child.ask('go'))
        ),
      );
    }
    await child.stop();
    const p99Ms = median(figures.map((one) => one.p99Ms));
    const aloneP99Ms = median(figures.map((one) => one.aloneP99Ms));
    const common = { bench: 'remoting', case: NAME, unit: 'ms', value: p99Ms };
    return [
      row({ ...common, peer: 'bound', peerValue: P99_MS, ratio: P99_MS / p99Ms, goal: 1 }),
      row({
        ...common,
        peer: 'the same calls alone',
        peerValue: aloneP99Ms,
        ratio: aloneP99Ms / p99Ms,
        goal: null,
      }),
    ];
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}
