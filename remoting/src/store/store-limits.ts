const GiB = 1024 ** 3;

/** Of all tenants together, bytes: what `axle serve --store-bytes` changes. */
export const defaultStoreBytesMax = 64 * GiB;

/** What one tenant may have in the store, models on their way included. */
export interface TenantStoreLimits {
  readonly models: number;
  /** Charged in full, whoever else has the same files. */
  readonly modelBytes: number;
}

/** Names that a tenant has given to models, versions counted. */
export const tenantNamesMax = 1024;
