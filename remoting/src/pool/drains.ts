import { performance } from 'node:perf_hooks';

import type { LoadedModel } from '@axle/core/internal';

import { settledWithin } from '../settled-within.js';
import type { Chooser } from './chooser.js';
import type { FarDevice } from './far-device.js';
import type { Member } from './member.js';
import type { Moves } from './moves.js';
import type { PooledDevice } from './pooled-device.js';

/** How long a server that is to be emptied works on at most, while its models are loaded elsewhere, milliseconds. */
const prepareMsMax = 60_000;

/** What is known of a pool's servers. */
export interface DrainedPool {
  readonly members: readonly Member[];
  readonly devices: readonly PooledDevice[];
}

/** What becomes of a server when it is empty. */
export type Afterwards = 'rest' | 'go';

/**
 * Empties servers without a pause: what only they have is loaded elsewhere while they work on, and then nothing new goes
 * there. What they have by then they answer, unless it was never sent, which goes elsewhere at once.
 */
export class Drains {
  /** Being prepared, and what for. */
  private readonly preparing = new Map<Member, Afterwards>();

  constructor(
    private readonly pool: DrainedPool,
    private readonly chooser: Chooser,
    private readonly moves: Moves,
  ) {}

  /** Settles when it gets nothing new any more. */
  async empty(member: Member, afterwards: Afterwards): Promise<void> {
    const isPreparing = this.preparing.has(member);
    if (!isPreparing && afterwards === 'rest' && member.isResting) return;
    this.preparing.set(member, afterwards);
    if (isPreparing) return;
    if (member.state === 'up') await this.loadElsewhere(member);
    const wanted = this.preparing.get(member);
    this.preparing.delete(member);
    if (wanted === 'go') member.retire();
    else if (wanted === 'rest') member.rest();
  }

  /** It is not to be emptied any more. */
  resume(member: Member): void {
    if (this.preparing.has(member)) this.moves.end(member.label);
    this.preparing.delete(member);
    member.resume();
  }

  private async loadElsewhere(leaving: Member): Promise<void> {
    const loads: (() => Promise<void>)[] = [];
    for (const { all } of this.pool.devices) {
      for (const place of all) {
        if (place.member !== leaving) continue;
        const others = all.filter(({ member }) => member !== leaving);
        for (const { loaded, tenants } of place.loadedModels) {
          const now = performance.now();
          const isElsewhere = others.some(
            (other) => other.isLoaded(loaded.source) && other.member.takes('', now),
          );
          if (isElsewhere) continue;
          loads.push(() => this.load(loaded, tenants, others));
        }
      }
    }
    if (loads.length === 0) return;
    const move = this.moves.begin(leaving.label, 'drain');
    const began = performance.now();
    const loading = loads.map(async (load) => {
      await load();
      move.models += 1;
    });
    // What cannot be loaded now, calls load when they come.
    await settledWithin(Promise.allSettled(loading), prepareMsMax);
    move.preparedMs = performance.now() - began;
  }

  /** @throws AxleError as the server says to which it is sent. */
  private async load(
    model: LoadedModel,
    tenants: ReadonlySet<string>,
    places: readonly FarDevice[],
  ): Promise<void> {
    const [first = ''] = tenants;
    const target = this.chooser.placeForModel(places, model, first);
    if (target === undefined) throw new Error('no server is left to take it');
    for (const tenant of tenants) {
      const there = target.modelOf(model, tenant, performance.now());
      await target.member.of(tenant).prefetch(there);
    }
    target.noteLoaded(model.source);
  }
}
