import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ResourceStore } from '@axle/remoting';
import { afterAll } from 'vitest';

let opening: Promise<ResourceStore> | undefined;

afterAll(async () => {
  await (await opening)?.close();
});

/** A place for models, the same for all servers of the test file; gone when it has run. */
export function temporaryStore(): Promise<ResourceStore> {
  opening ??= open();
  return opening;
}

async function open(): Promise<ResourceStore> {
  return ResourceStore.open({
    folder: await mkdtemp(join(tmpdir(), 'axle-test-store-')),
    isTemporary: true,
    bytesMax: 1 << 30,
    limitsOf: () => ({ models: 16, modelBytes: 1 << 30 }),
  });
}
