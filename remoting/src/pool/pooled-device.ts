import type { Device, Health } from '@axle/core/internal';

import type { FarDevice } from './far-device.js';
import type { Member } from './member.js';

/** All devices of one kind that a pool has, as one device: what core sees does not grow with the servers. */
export class PooledDevice implements Device {
  readonly backend = 'pool';
  readonly id: string;
  readonly name: string;
  readonly kind: Device['kind'];
  readonly emulated: boolean;
  readonly version?: string;
  /** Those whose servers are known. */
  all: readonly FarDevice[] = [];

  /** @param like one of them */
  constructor(
    readonly pooledKind: string,
    readonly index: number,
    like: Device,
    private readonly members: readonly Member[],
  ) {
    this.refresh();
    this.id = `pool/${pooledKind}`;
    this.name = `${like.name}, of several servers`;
    this.kind = like.kind;
    this.emulated = like.emulated;
    if (like.version !== undefined) this.version = like.version;
  }

  /** To be called when a server has said what it has. */
  refresh(): void {
    this.all = this.members.flatMap((member) => member.devicesOf(this.pooledKind));
  }

  get parallel(): number {
    return Math.max(
      1,
      this.all.reduce((sum, { device }) => sum + device.parallel, 0),
    );
  }

  /** What fits where is seen to when a model is placed. */
  get memoryBytes(): number {
    return 0;
  }

  readonly includes = (name: string): boolean => {
    for (const member of this.members) {
      if (member.label === name && member.mayHave(this.pooledKind)) return true;
    }
    return this.all.some((device) => device.isNamed(name));
  };

  get health(): Health {
    const states = [...this.members].map((member) => ({ member, state: member.state }));
    const away = states.filter(({ state }) => state !== 'up');
    const names = away.map(({ member, state }) => `${member.label} is ${state}`).join(', ');
    const isThere = this.all.some((device) => device.member.isWell(device.device));
    if (!isThere) return { state: 'LOST', message: names || 'no server has it now' };
    return away.length === 0
      ? { state: 'OK', message: '' }
      : { state: 'DEGRADED', message: `${away.length} of ${states.length} servers away: ${names}` };
  }
}
