import {
  hasFlag,
  sameRange,
  servingIdOf,
  type Device,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type OpRange,
} from '@axle/core/internal';

import type { ToldWait } from '../client/description.js';
import type { Attempt } from './attempt.js';
import { LinkedSet } from './linked-set.js';
import type { Member } from './member.js';

/** The part of a device's memory that models may take, as servers have it. */
const modelMemoryShare = 0.75;
/** A model that a server does not have under its name is not looked for there again for so long, milliseconds. */
const lackedMs = 10_000;

/** Tenants of a model that are remembered, for its move. */
const modelTenantsMax = 64;

/** A model that was sent to a device. */
interface SentModel {
  readonly loaded: LoadedModel;
  readonly bytes: number;
  /** Whose calls used it. */
  readonly tenants: Set<string>;
  /** A call with it was answered since the server started. */
  isThere: boolean;
  usedAt: number;
}

/** A device of a server of a pool. */
export class FarDevice {
  /** Of its kind on the server: `cuda` for `cuda:0`. */
  readonly kind: string;
  /** On their way to it, there, or on their way back. */
  readonly attempts = new LinkedSet<Attempt>();
  /** What they are expected to take, milliseconds. */
  private backlogMs = 0;
  /** Tasks that it gave a result for. */
  finished = 0;
  /** When one came back last, on the clock of `performance`. */
  lastDoneAt = 0;
  private readonly models = new Map<string, SentModel>();
  /** Told when it was sent a model, or lost one. */
  onModels: () => void = () => undefined;
  /** Content of models that the server does not have, and until when that is taken to hold. */
  private readonly lacked = new Map<string, number>();
  private readonly offered = new Map<OpRange, boolean>();
  private lastTold: ToldWait | undefined = undefined;
  private backlogThenMs = 0;

  constructor(
    readonly member: Member,
    private described: Device,
    private ops: readonly OfferedOp[],
  ) {
    this.kind = kindOf(described.id.slice(member.label.length + 1));
  }

  /** As its server described it last. */
  get device(): Device {
    return this.described;
  }

  /** The server says anew what it has. */
  renew(device: Device, ops: readonly OfferedOp[]): void {
    this.described = device;
    this.ops = ops;
    this.offered.clear();
  }

  get id(): string {
    return this.device.id;
  }

  /** Whether a caller who names this means the device or its server. */
  isNamed(name: string): boolean {
    return name === this.id || name === this.member.label;
  }

  /** @param range one of the pool's ops, which is the same only if it may run a second time wherever the pool says so */
  offers(range: OfferedOp): boolean {
    let known = this.offered.get(range);
    if (known === undefined) {
      const op = this.ops.find((each) => sameRange(each, range));
      known =
        op !== undefined &&
        isRepeatable(op.flags) >= isRepeatable(range.flags) &&
        this.member.offers(this.device, range);
      this.offered.set(range, known);
    }
    return known;
  }

  /**
   * How long a new task would wait there, milliseconds: by what the server said last and was sent since, or by what is
   * under way from here if that is more.
   *
   * @param now on the clock of `performance`
   */
  waitMs(now: number): number {
    const { parallel } = this.device;
    const ownMs = this.attempts.size < parallel ? 0 : this.backlogMs / parallel;
    const told = this.member.waitOf(this.device);
    if (told !== this.lastTold) {
      this.lastTold = told;
      this.backlogThenMs = this.backlogMs;
    }
    if (told.waitMs === 0) return ownMs;
    const sinceMs = (this.backlogMs - this.backlogThenMs) / parallel;
    return Math.max(ownMs, told.waitMs - (now - told.toldAt) + sinceMs);
  }

  add(attempt: Attempt): void {
    this.attempts.add(attempt);
    this.backlogMs += attempt.expectedMs;
  }

  remove(attempt: Attempt): void {
    if (!this.attempts.delete(attempt)) return;
    this.backlogMs = this.attempts.size === 0 ? 0 : this.backlogMs - attempt.expectedMs;
  }

  /** Bytes of models that fit beside those that are there; Infinity: it does not say how much memory it has. */
  get freeBytes(): number {
    const { memoryBytes } = this.device;
    if (memoryBytes === 0) return Infinity;
    let free = memoryBytes * modelMemoryShare;
    for (const { bytes } of this.models.values()) free -= bytes;
    return free;
  }

  /** Whether the model was sent to it. */
  has(source: ModelSource): boolean {
    return this.models.has(servingIdOf(source));
  }

  /** Whether a call with the model was answered there. */
  isLoaded(source: ModelSource): boolean {
    return this.models.get(servingIdOf(source))?.isThere === true;
  }

  /** Models of which calls were answered there, with the tenants whose calls these were. */
  get loadedModels(): readonly {
    readonly loaded: LoadedModel;
    readonly tenants: ReadonlySet<string>;
  }[] {
    return [...this.models.values()].filter(({ isThere }) => isThere);
  }

  /** When a call was sent there last with a model, on the clock of `performance`. */
  usedAt(source: ModelSource): number {
    return this.models.get(servingIdOf(source))?.usedAt ?? 0;
  }

  /** The model as the server's connections know it, for a tenant's call. */
  modelOf({ source }: LoadedModel, tenant: string, now: number): LoadedModel {
    let sent = this.models.get(servingIdOf(source));
    if (sent === undefined) {
      const unknown = { inputs: [], outputs: [], memoryBytes: 0, handle: undefined };
      const loaded = { source, device: this.device, ...unknown };
      sent = { loaded, bytes: bytesOf(source), tenants: new Set(), isThere: false, usedAt: now };
      this.models.set(servingIdOf(source), sent);
      this.onModels();
    }
    sent.usedAt = now;
    if (sent.tenants.size < modelTenantsMax) sent.tenants.add(tenant);
    return sent.loaded;
  }

  /** Whether the server was found not to have a model that is only named. */
  lacks(source: ModelSource, now: number): boolean {
    const until = this.lacked.get(servingIdOf(source));
    if (until === undefined) return false;
    if (until <= now) this.lacked.delete(servingIdOf(source));
    return until > now;
  }

  noteLacked(source: ModelSource, now: number): void {
    this.unload(source);
    this.lacked.set(servingIdOf(source), now + lackedMs);
  }

  /** A call with the model was answered. */
  noteLoaded(source: ModelSource): void {
    const sent = this.models.get(servingIdOf(source));
    if (sent !== undefined) sent.isThere = true;
  }

  /** Takes the model from the server's connections. */
  unload(source: ModelSource): void {
    const sent = this.models.get(servingIdOf(source));
    if (sent === undefined) return;
    this.models.delete(servingIdOf(source));
    this.onModels();
    this.member.unload(sent.loaded);
  }

  /** The server may have started anew: its models are loaded again at their next calls. */
  forgetLoaded(): void {
    for (const sent of this.models.values()) sent.isThere = false;
  }
}

/** What devices of a server are of: those that are called alike but for their number. */
export function kindOf(deviceId: string): string {
  return deviceId.replace(/:\d+$/, '').replace(/^pool\//, '');
}

/** As a number, so that it can be compared. */
function isRepeatable(flags: number): number {
  return Number(hasFlag(flags, 'PURE') || hasFlag(flags, 'IDEMPOTENT'));
}

function bytesOf({ files }: ModelSource): number {
  let bytes = 0;
  for (const { data } of files) bytes += data.byteLength;
  return bytes;
}
