import type { ModelReport, ModelSource } from '@axle/core/internal';

import type { Upstreams } from './upstreams.js';

/** A model that a server behind this one has under a name. */
export interface UpstreamSource {
  readonly server: Upstreams;
  readonly report: ModelReport;
}

/** By the sources that stand for them here. */
export const upstreamSources = new WeakMap<ModelSource, UpstreamSource>();
