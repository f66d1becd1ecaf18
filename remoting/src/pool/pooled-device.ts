import { servingIdOf, type Device, type Health, type ModelSource } from '@axle/core/internal';

import type { FarDevice } from './far-device.js';
import type { Member, MemberState } from './member.js';

/** Of those that are away, servers whose reasons are told. */
const reasonsMax = 4;
/** Models whose places are remembered. */
const havingMax = 1024;

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
  /** By the content of models. */
  private readonly havingModel = new Map<string, ReadonlySet<FarDevice>>();

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
    this.havingModel.clear();
    const forget = () => {
      this.havingModel.clear();
    };
    for (const device of this.all) device.onModels = forget;
  }

  /** Those that were sent the model: there may be a thousand to look at, and tasks come more often than models. */
  having(source: ModelSource): ReadonlySet<FarDevice> {
    const id = servingIdOf(source);
    let found = this.havingModel.get(id);
    if (found === undefined) {
      found = new Set(this.all.filter((device) => device.has(source)));
      if (this.havingModel.size >= havingMax) this.havingModel.clear();
      this.havingModel.set(id, found);
    }
    return found;
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
    const names = howTheyAre(away);
    const isThere = this.all.some((device) => device.member.isWell(device.device));
    if (!isThere) return { state: 'LOST', message: names || 'no server has it now' };
    return away.length === 0
      ? { state: 'OK', message: '' }
      : { state: 'DEGRADED', message: `${away.length} of ${states.length} servers away: ${names}` };
  }
}

function howTheyAre(
  away: readonly { readonly member: Member; readonly state: MemberState }[],
): string {
  const told = away.slice(0, reasonsMax).map(({ member: { label, lastError }, state }) => {
    const why = lastError === undefined ? '' : ` (${lastError.message})`;
    return `${label} is ${state}${why}`;
  });
  if (away.length > reasonsMax) told.push(`and ${away.length - reasonsMax} more`);
  return told.join(', ');
}
