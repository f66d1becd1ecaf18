import type { RegionSpec } from './shared-region.js';

/** A region as the protocol writes it, in gRPC as in JSON. */
export function regionMessage({ name, key, offset, byteSize }: RegionSpec): object {
  return { name, key, offset, byte_size: byteSize };
}
