// A function that runs as a process, from its start to its first answer.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { shippedModels } from 'axle';
import { manifestFile, parseFunctionManifest, ProcessInstanceProvider } from '@axle/faas';

import { ROOT } from '../../../scripts/repository.mjs';

const EXAMPLE = join(ROOT, 'faas/examples/classify-image');

/**
 * @param {string} url of the pool that it uses
 * @returns {Promise<number>} milliseconds until it has answered its first call
 */
export async function startProcessFunction(url) {
  const manifest = parseFunctionManifest(await readFile(join(EXAMPLE, manifestFile), 'utf8'));
  const body = await readFile(join(shippedModels, 'samples/A.png'));
  const { name, memoryMiB, timeoutMs, concurrency } = manifest;
  const provider = new ProcessInstanceProvider();
  try {
    const startedAt = performance.now();
    const instance = provider.start(
      {
        id: `${name}.1.1`,
        deployment: {
          ...{ name, image: `${name}:latest`, bundleId: '', memoryMiB, timeoutMs, concurrency },
          ...{ environment: {}, secrets: [], labels: {}, annotations: {}, generation: 1 },
          createdAt: new Date(0).toISOString(),
          scaling: {
            ...{ min: 0, max: 1, by: 'concurrency', target: 1, toZero: true, idleMs: 60_000 },
            ...{ inFlightMax: 1, queueMax: 1 },
          },
        },
        bundle: { id: '', manifest, folder: EXAMPLE },
        secrets: new Map(),
        pool: { url, token: '' },
      },
      {
        log: () => undefined,
        deaf: () => undefined,
        retire: () => undefined,
        ended: () => undefined,
      },
    );
    await instance.ready;
    const status = await new Promise((resolve, reject) => {
      instance.invoke(
        {
          ...{ id: 'first', functionName: name, method: 'POST', path: '/', query: '', headers: {} },
          ...{ body, signal: new AbortController().signal },
        },
        {
          answered: (answer) => {
            resolve(answer.status);
          },
          failed: reject,
          freed: () => undefined,
        },
      );
    });
    if (status !== 200) throw new Error(`the function answered with ${status}`);
    return performance.now() - startedAt;
  } finally {
    await provider.close();
  }
}
