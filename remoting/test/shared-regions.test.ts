import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';

import { afterAll, expect, it } from 'vitest';

import { defaultDoorLimits } from '../src/doors/door-limits.js';
import { regionsMax, SharedRegions } from '../src/doors/kserve/shared-memory/shared-regions.js';

const own = randomBytes(6).toString('hex');
const keys = ['a', 'b'].map((tenant) => ({ tenant, key: `/axle:${tenant}:${own}` }));
for (const { key } of keys) writeFileSync(`/dev/shm${key}`, 'memory', { mode: 0o600 });
afterAll(() => {
  for (const { key } of keys) rmSync(`/dev/shm${key}`);
});

it('all tenants together have so many regions, and one more when one has gone', async () => {
  // More than each may have by default: it is the other bound that is looked for.
  const regions = new SharedRegions({ ...defaultDoorLimits, sharedRegionsMax: regionsMax });
  const register = (index: number) => {
    const { tenant, key } = keys[index % 2]!;
    return regions.register(tenant, { name: `r${index}`, key, offset: 0, byteSize: 6 });
  };
  for (let i = 0; i < regionsMax; i++) await register(i);
  const more = () => register(regionsMax);
  await expect(more()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await expect(more()).rejects.toThrow(`all tenants together may register ${regionsMax} regions`);
  regions.unregister('b', 'r1');
  await more();
  await expect(register(1)).rejects.toThrow(/all tenants together/);
  regions.close();
  await register(1);
  regions.close();
});

it('a tenant has so many of its own', async () => {
  const regions = new SharedRegions({ ...defaultDoorLimits, sharedRegionsMax: 2 });
  const register = (tenant: string, name: string) => {
    const key = `/axle:${tenant}:${own}`;
    return regions.register(tenant, { name, key, offset: 0, byteSize: 6 });
  };
  await register('a', 'one');
  await register('a', 'two');
  await expect(register('a', 'three')).rejects.toThrow(
    'tenant a may register 2 regions (doorLimits.sharedRegionsMax)',
  );
  await register('b', 'three');
  regions.close();
});
