// npm run bench -- pool: what a pool of servers costs, and how it shares them. Devices are simulated: they sleep on a clock.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { benchDecision } from './pool/decision.mjs';
import { benchFairness } from './pool/fairness.mjs';
import { benchHops } from './pool/hops.mjs';
import { benchScaling } from './pool/scaling.mjs';
import { benchSharing } from './pool/sharing.mjs';

const cases = {
  hops: benchHops,
  decision: benchDecision,
  sharing: benchSharing,
  fairness: benchFairness,
  scaling: benchScaling,
};

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<import('./row.mjs').Row[]>}
 */
export async function benchPool(progress, only) {
  const rows = [];
  for (const [name, measure] of Object.entries(cases)) {
    if (!name.includes(only)) continue;
    progress(name);
    const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
    try {
      rows.push(...(await measure(folder)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return rows;
}
