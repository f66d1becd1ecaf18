import { AxleError } from '@axle/core/internal';

import { textCharactersMax, type DoorLimits } from '../../door-limits.js';
import { openRegionFile } from './region-file.js';
import { SharedRegion, type RegionSpec } from './shared-region.js';

/** Of all tenants: each is an open file. */
export const regionsMax = 4096;

/** The shared memory that tenants registered. None sees that of another. */
export class SharedRegions {
  private readonly byTenant = new Map<string, Map<string, SharedRegion>>();
  private count = 0;

  constructor(private readonly limits: DoorLimits) {}

  /**
   * @throws AxleError ALREADY_EXISTS; RESOURCE_EXHAUSTED past a limit; OUT_OF_RANGE for memory that is shorter;
   * INVALID_ARGUMENT; as `openRegionFile`.
   */
  async register(tenant: string, spec: RegionSpec): Promise<void> {
    this.checkSpec(spec);
    this.checkRoom(tenant, spec.name);
    const file = await openRegionFile(tenant, spec.key);
    const region = new SharedRegion(spec, file);
    try {
      const { size } = await file.stat();
      if (spec.offset + spec.byteSize > size) throw tooShort(spec, size);
      // Others may have come meanwhile.
      this.checkRoom(tenant, spec.name);
    } catch (error) {
      region.leave();
      throw error;
    }
    const own = this.byTenant.get(tenant) ?? new Map<string, SharedRegion>();
    this.byTenant.set(tenant, own.set(spec.name, region));
    this.count += 1;
  }

  /** Calls that use it end as ever. One that is not there is no error. @param name '' stands for all of the tenant's */
  unregister(tenant: string, name: string): void {
    const own = this.byTenant.get(tenant);
    for (const [each, region] of own ?? []) {
      if (name !== '' && each !== name) continue;
      own?.delete(each);
      this.count -= 1;
      region.leave();
    }
    if (own?.size === 0) this.byTenant.delete(tenant);
  }

  /** @param name '' stands for all of the tenant's. @throws AxleError NOT_FOUND */
  status(tenant: string, name: string): RegionSpec[] {
    if (name !== '') return [this.find(tenant, name).spec];
    return [...(this.byTenant.get(tenant)?.values() ?? [])].map(({ spec }) => spec);
  }

  /** @throws AxleError NOT_FOUND */
  find(tenant: string, name: string): SharedRegion {
    const region = this.byTenant.get(tenant)?.get(name);
    if (region !== undefined) return region;
    throw new AxleError(
      'NOT_FOUND',
      `Unable to find shared memory region: '${name}'; register it first`,
    );
  }

  close(): void {
    for (const tenant of [...this.byTenant.keys()]) this.unregister(tenant, '');
  }

  private checkSpec({ name, offset, byteSize }: RegionSpec): void {
    const { sharedRegionBytesMax } = this.limits;
    if (name === '' || name.length > textCharactersMax) {
      throw wrong(`a region has a name of 1 to ${textCharactersMax} characters`);
    }
    const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
    if (!isCount(offset) || !isCount(byteSize) || !isCount(offset + byteSize)) {
      throw wrong(`offset and byte_size of region '${name}' are whole numbers from 0 up`);
    }
    if (byteSize === 0) throw wrong(`region '${name}' has no bytes`);
    if (byteSize <= sharedRegionBytesMax) return;
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `region '${name}' has ${byteSize} bytes; this server takes ${sharedRegionBytesMax} (doorLimits.sharedRegionBytesMax)`,
      { retryable: false },
    );
  }

  private checkRoom(tenant: string, name: string): void {
    const { sharedRegionsMax } = this.limits;
    const own = this.byTenant.get(tenant);
    if (own?.has(name) === true) {
      throw new AxleError(
        'ALREADY_EXISTS',
        `shared memory region '${name}' already in manager; unregister it first`,
      );
    }
    if ((own?.size ?? 0) >= sharedRegionsMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `tenant ${tenant} may register ${sharedRegionsMax} regions (doorLimits.sharedRegionsMax); unregister some`,
      );
    }
    if (this.count < regionsMax) return;
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `all tenants together may register ${regionsMax} regions; unregister some, or try again later`,
    );
  }
}

function tooShort({ key, offset, byteSize }: RegionSpec, size: number): AxleError {
  return new AxleError(
    'OUT_OF_RANGE',
    `'${key}' has ${size} bytes, and the region ends at ${offset + byteSize}`,
  );
}

function wrong(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}
