import { performance } from 'node:perf_hooks';

import {
  AxleError,
  hasFlag,
  OpFlag,
  sameRange,
  servingIdOf,
  singleOp,
  type Backend,
  type BackendStream,
  type BackendTask,
  type ConnectOptions,
  type Device,
  type Health,
  type Lane,
  type LaneCaller,
  type LaneListener,
  type LaneWire,
  type Limits,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type OpArgs,
  type OpRange,
  type StreamOptions,
  type Support,
  type SupportQuery,
} from '@axle/core/internal';

import type { Log } from '../log/log.js';
import { ForwardLane } from '../relay/forward-lane.js';
import { LateStream } from '../relay/late-stream.js';
import { settledWithin } from '../settled-within.js';
import type { Member, MemberState } from './member.js';
import { moveText, type MoveReport, type Moves } from './moves.js';
import { Pool, opOf, refusalByAll, waitMsDefault, type PoolCounts } from './pool.js';
import { PoolCatalogue } from './pool-catalogue.js';
import { PoolStream } from './pool-stream.js';
import { PoolTask } from './pool-task.js';
import type { PooledDevice } from './pooled-device.js';
import type { ModelFit } from './placement.js';

/** When the first server is there, how long the others are waited for, so that what the pool offers is known, milliseconds. */
const gatherMs = 2000;

export interface PoolBackendOptions {
  readonly servers: readonly URL[];
  /** Of these, as `href`, those that get nothing. */
  readonly drained?: ReadonlySet<string>;
  /** How the servers are to be connected to. */
  readonly connect: ConnectOptions;
  /** Each tenant's work goes over a connection in its name: of a server. Otherwise all is the client's own. */
  readonly actsForTenants?: boolean;
  readonly fit?: ModelFit;
  readonly log?: Log;
}

/** Of a device of a pool, which has room for what all servers have together. */
export function poolLimits(limits: Limits, servers: readonly URL[]): Limits {
  const { deviceModelsMax, deviceModelBytesMax } = limits;
  return {
    ...limits,
    deviceModelsMax: deviceModelsMax * servers.length,
    deviceModelBytesMax: deviceModelBytesMax * servers.length,
  };
}

/** How a server of a pool is. */
export interface ServerOfPool {
  readonly label: string;
  /** As it was named. */
  readonly url: string;
  readonly state: MemberState;
  /** Tasks on their way to it, there, or on their way back. */
  readonly inFlight: number;
  readonly finished: number;
  /** Devices whose tasks go elsewhere. */
  readonly passedOver: number;
  readonly devices: readonly DeviceOfPool[];
}

/** A device of a server of a pool. */
export interface DeviceOfPool {
  readonly id: string;
  /** As of the server. */
  readonly inFlight: number;
  readonly finished: number;
  /** How long a new task would wait there, milliseconds. */
  readonly waitMs: number;
}

/** On how many devices a model is. */
export interface ModelOfPool {
  readonly name: string;
  readonly copies: number;
}

/** Models that are told of. */
const modelsToldMax = 256;

/**
 * Many servers as one backend: core sees a device for each kind that they have between them, and which server a task goes
 * to is chosen when it is sent.
 */
export class PoolBackend implements Backend {
  readonly name = 'pool';
  readonly version = '';
  readonly batches = 'there';
  /** They are sent on as they are, and looked at by nobody here. */
  readonly takesInputsThatChange = true;

  private listener: () => void = () => undefined;
  private knownOps: readonly OfferedOp[];
  private devicesCount: number;
  private last:
    | { readonly range: OpRange; readonly ops: readonly OfferedOp[]; readonly op: OfferedOp }
    | undefined = undefined;

  private constructor(
    readonly pool: Pool,
    /** The names of models that the servers answer to. */
    readonly catalogue: PoolCatalogue,
  ) {
    this.knownOps = opsOf(pool);
    this.devicesCount = pool.devices.length;
  }

  /**
   * Looks for all servers, and goes on when one has answered and the others had a moment; they join when they do.
   *
   * @throws AxleError UNAVAILABLE saying of each server why, when none answers in `reconnect.timeoutMs` (30,000 ms); what
   * they say where all refuse.
   */
  static async connect(options: PoolBackendOptions): Promise<PoolBackend> {
    const {
      servers,
      connect,
      actsForTenants = false,
      fit = 'worst',
      drained = new Set(),
      log = () => undefined,
    } = options;
    const catalogue = new PoolCatalogue();
    let grown: () => void = () => undefined;
    const pool = new Pool({
      servers,
      drained,
      connect,
      actsForTenants,
      fit,
      sourceOn: catalogue.sourceOn,
      random: Math.random,
      onChange: (member, move) => {
        tellChange(member, move, log);
      },
      onSought: ({ url }, reason) => {
        log(`${url.href} is not there: ${reason.message}; it is looked for`, { level: 'warn' });
      },
      onRefused: ({ url }, tenant, reason) => {
        const why = `${url.href} does not let ${tenant} in (${reason.message})`;
        log(`${why}; its calls go to other servers`, { level: 'warn' });
      },
      onGrown: () => {
        grown();
      },
    });
    catalogue.members = pool.members;
    try {
      await gather(pool, connect.reconnect?.timeoutMs ?? waitMsDefault);
      pool.takeDevicesIn();
      const backend = new PoolBackend(pool, catalogue);
      grown = () => {
        backend.noteGrown();
      };
      return backend;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  get devices(): readonly PooledDevice[] {
    return this.pool.devices;
  }

  get ops(): readonly OfferedOp[] {
    return this.knownOps;
  }

  onGrown(listener: () => void): void {
    this.listener = listener;
  }

  /** As `Pool.setServers`. */
  setServers(servers: readonly URL[], drained: ReadonlySet<string> = new Set()): void {
    this.pool.setServers(servers, drained);
  }

  /** The last moves of work from one server to others. */
  get moves(): Moves {
    return this.pool.moves;
  }

  get servers(): readonly ServerOfPool[] {
    const { pool } = this;
    return pool.members.map(({ label, url, state, inFlight, devices }) => ({
      label,
      url: url.href,
      state,
      inFlight,
      finished: devices.reduce((sum, { finished }) => sum + finished, 0),
      passedOver: devices.filter((device) => pool.passedOver(device) !== undefined).length,
      devices: devices.map((device) => ({
        id: device.id,
        inFlight: device.attempts.size,
        finished: device.finished,
        waitMs: state === 'up' ? device.waitMs(performance.now()) : 0,
      })),
    }));
  }

  /** Those that are loaded somewhere. */
  get models(): readonly ModelOfPool[] {
    const copies = new Map<string, ModelOfPool>();
    for (const { devices, state } of this.pool.members) {
      if (state === 'lost') continue;
      for (const { loaded } of devices.flatMap((device) => device.loadedModels)) {
        const { source } = loaded;
        const servingId = servingIdOf(source);
        const known = copies.get(servingId)?.copies ?? 0;
        if (known > 0 || copies.size < modelsToldMax) {
          copies.set(servingId, { name: source.name, copies: known + 1 });
        }
      }
    }
    return [...copies.values()];
  }

  get counts(): PoolCounts {
    return this.pool.counts;
  }

  offers(device: Device, op: OpRange): boolean {
    const offered = this.ops.find((each) => sameRange(each, op));
    if (offered === undefined) return false;
    return this.pooledOf(device).all.some((far) => far.offers(offered));
  }

  supports(device: Device, { range }: SupportQuery): Support {
    if (this.offers(device, range)) return { score: 1, reason: '' };
    return { score: 0, reason: 'no server of the pool offers it there' };
  }

  hasElsewhere(_: Device, source: ModelSource): boolean {
    return this.catalogue.has(source);
  }

  /** Each server that is chosen for a call with the model is sent it then. */
  loadModel(device: Device, source: ModelSource): Promise<LoadedModel> {
    const unknown = { inputs: [], outputs: [], memoryBytes: 0 };
    return Promise.resolve({ source, device, ...unknown, handle: undefined });
  }

  async prefetchModel(model: LoadedModel, tenant: string): Promise<void> {
    const pooled = this.pooledOf(model.device);
    const op = opOf(this.ops, singleOp('infer'));
    const target = this.pool.placeFor(pooled, op, tenant, model);
    await target.member.of(tenant).prefetch(target.modelOf(model, tenant, performance.now()));
    target.noteLoaded(model.source);
  }

  unloadModel({ device, source }: LoadedModel): Promise<void> {
    for (const far of this.pooledOf(device).all) far.unload(source);
    return Promise.resolve();
  }

  submit(device: Device, batch: readonly BackendTask[]): void {
    const pooled = this.pooledOf(device);
    for (const task of batch) this.pool.submit(pooled, this.opFor(task.range), task);
  }

  cancel({ backendData }: BackendTask): void {
    if (backendData instanceof PoolTask) this.pool.cancel(backendData);
  }

  /** For calls that go on as they came. */
  openLane(
    device: Device,
    range: OpRange,
    args: OpArgs,
    outputBytesMax: number,
    _batchMax: number,
    wire: LaneWire,
    listener: LaneListener,
    caller: LaneCaller,
  ): Lane | undefined {
    if (!ForwardLane.serves(wire)) return undefined;
    const pooled = this.pooledOf(device);
    const op = opOf(this.ops, range);
    return new ForwardLane({ range, args, outputBytesMax, ...caller }, wire, listener, {
      submit: (task) => {
        this.pool.submit(pooled, op, task);
      },
      cancel: (task) => {
        this.cancel(task);
      },
    });
  }

  openStream(device: Device, range: OpRange, args: OpArgs, options: StreamOptions): BackendStream {
    const pooled = this.pooledOf(device);
    const op = opOf(this.ops, range);
    const open = () => {
      const target = this.pool.placeFor(pooled, op, options.tenant, undefined);
      const { member, device } = target;
      return new PoolStream(
        member,
        member.of(options.tenant).openStream(device, range, args, options),
      );
    };
    return this.pool.hasServer ? open() : new LateStream(this.whenUp(open));
  }

  health(device: Device): Promise<Health> {
    return Promise.resolve(this.pooledOf(device).health);
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  /** To be called when servers may have more than was known. What was known stays as it was, for calls that rely on it. */
  noteGrown(): void {
    const { knownOps, pool } = this;
    const added = opsOf(pool).filter((op) => !knownOps.some((known) => sameRange(known, op)));
    if (added.length === 0 && pool.devices.length === this.devicesCount) return;
    this.knownOps = [...knownOps, ...added];
    this.devicesCount = pool.devices.length;
    this.listener();
  }

  private async whenUp<T>(work: () => T): Promise<T> {
    await settledWithin(this.pool.serverUp(), waitMsDefault);
    return work();
  }

  /** The next task is likely to be of the op of the last. */
  private opFor(range: OpRange): OfferedOp {
    const { last } = this;
    if (last?.range === range && last.ops === this.knownOps) return last.op;
    const op = opOf(this.knownOps, range);
    this.last = { range, ops: this.knownOps, op };
    return op;
  }

  private pooledOf({ index }: Device): PooledDevice {
    return this.devices[index] as PooledDevice;
  }
}

/** @throws AxleError when no server is there. */
async function gather(pool: Pool, msMax: number): Promise<void> {
  const { members } = pool;
  const allTried = Promise.all(members.map(({ tried }) => tried));
  await Promise.race([allTried, settledWithin(pool.serverUp(), msMax)]);
  if (!pool.hasServer) {
    const refusal = refusalByAll(members, ({ lastError }) =>
      lastError?.code === 'UNAVAILABLE' ? undefined : lastError,
    );
    if (refusal !== undefined) throw refusal;
    await settledWithin(pool.serverUp(), msMax);
  }
  if (!pool.hasServer) throw noServer(members, msMax);
  await settledWithin(allTried, gatherMs);
}

function noServer(members: readonly Member[], msMax: number): AxleError {
  const why = members.map(
    ({ url, lastError }) => `${url.href} (${lastError?.message ?? 'no answer'})`,
  );
  return new AxleError(
    'UNAVAILABLE',
    `no server of the pool answers within ${msMax} ms: ${why.join('; ')}; start one with axle serve, or name others`,
  );
}

/** What they offer; what one of them must not run twice, none is taken to. */
function opsOf({ members }: Pool): readonly OfferedOp[] {
  const ops: OfferedOp[] = [];
  for (const op of members.flatMap((member) => member.ops)) {
    const at = ops.findIndex((each) => sameRange(each, op));
    const known = ops[at];
    if (known === undefined) ops.push(op);
    else ops[at] = { ...known, flags: commonFlags(known.flags, op.flags) };
  }
  return ops;
}

function commonFlags(a: number, b: number): number {
  const may = (flags: number) => hasFlag(flags, 'PURE') || hasFlag(flags, 'IDEMPOTENT');
  return may(a) && may(b) ? a : a & b & ~(OpFlag.PURE | OpFlag.IDEMPOTENT);
}

function tellChange(
  { url, label, state, isRetired, isGone, isResting, isIdle, lastError }: Member,
  move: MoveReport | undefined,
  log: Log,
): void {
  const how = move === undefined ? '' : `: ${moveText(move)}`;
  if (isRetired) {
    if (isGone) log(`${url.href} is let go${how}`);
    else if (!isIdle) log(`${url.href} goes when it has answered`);
  } else if (isResting && state !== 'lost') {
    if (state === 'drained') log(`${url.href} is empty${how}`);
    else if (!isIdle) log(`${url.href} is being emptied`);
  } else if (state === 'up') {
    log(`${url.href} is up, as ${label}`);
  } else {
    const why = lastError === undefined ? '' : `: ${lastError.message}`;
    log(`${url.href} is ${state}${why}; its work goes to other servers`, { level: 'warn' });
  }
}
