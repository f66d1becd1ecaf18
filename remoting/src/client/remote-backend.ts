import { performance } from 'node:perf_hooks';

import {
  argsKey,
  AxleError,
  type Cancellation,
  type Backend,
  type BackendStream,
  type BackendTask,
  type Device,
  hasFlag,
  type Health,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type OpArgs,
  type OpRange,
  sameRange,
  type StreamOptions,
  type Support,
  type SupportQuery,
  type Tensor,
} from '@axle/core/internal';

import { writeArgs } from '../arguments.js';
import { Description, type DeviceNaming, type ToldWait } from './description.js';
import { NamedModels, type PublishAs } from './named-models.js';
import { RemoteBinding } from './remote-binding.js';
import { RemoteCall, type DeviceIds } from './remote-call.js';
import { RemoteModels, type RemoteModel } from './remote-models.js';
import { RemotePut } from './remote-put.js';
import { RemoteSession, type SessionOptions } from './remote-session.js';
import { RemoteStream } from './remote-stream.js';
import { toWireUs } from '../wire/time.js';

/** Kept on the server at once, beyond the calls that use them: the one used longest ago is released for one more. */
const bindingsMax = 1024;
/** Of the handles that the server grants, the part that they may take, so that calls find some. */
const bindingsPart = 4;

/** Of a task, what its binding says. */
type Bound = Pick<BackendTask, 'range' | 'args' | 'inputs' | 'outputBytesMax' | 'model' | 'asCame'>;

/** What a binding is for. */
interface KnownBinding {
  readonly binding: RemoteBinding;
  /** Handle; 0 = none. */
  readonly model: number;
  readonly device: Device;
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly outputBytesMax: number;
  /** Of the inputs. */
  readonly names: readonly string[];
}

/** A server as core sees it: a backend like any other, which makes the batches itself. */
export class RemoteBackend implements Backend, DeviceIds {
  readonly batches = 'there';
  /** They are sent, and what they are is the server's business. */
  readonly takesInputsThatChange = true;
  readonly version = '';
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];
  /** The names of models that the server answers to. */
  readonly catalogue: NamedModels;
  private readonly models: RemoteModels;
  private readonly bindings = new Map<string, KnownBinding>();
  private kept = bindingsMax;
  /** Of the last call: the next one is likely to have the same, and finds it without a key. */
  private lastBinding: KnownBinding | undefined = undefined;

  /** What the server says of itself now; it may be another one by now. */
  private latest: Description;

  private constructor(
    readonly name: string,
    readonly session: RemoteSession,
    private readonly description: Description,
    naming: DeviceNaming,
  ) {
    this.devices = description.readDevices(naming);
    this.ops = description.readOps();
    this.latest = description;
    session.whenReopened(() => {
      this.describeAgain();
    });
    this.catalogue = new NamedModels(session);
    this.models = new RemoteModels(session, (handle) => {
      this.releaseBindingsOf(handle);
    });
  }

  /**
   * Greets a server and asks what there is, in one round trip.
   *
   * @param name that core knows the server by
   * @throws AxleError UNAVAILABLE when no server answers or the connection ends before, or as the server refuses.
   */
  static async connect(
    options: SessionOptions,
    name: string,
    naming: DeviceNaming = { prefix: `${name}/`, backend: name },
  ): Promise<RemoteBackend> {
    const session = await RemoteSession.open(options);
    const description = await new Promise<Description>((resolve, reject) => {
      const answer: Description = new Description((error) => {
        if (error === undefined) resolve(answer);
        else {
          // Nobody has it, to close it or to look for the server again.
          session.close(error);
          reject(error);
        }
      });
      session.ask({ type: 'DESCRIBE', id: session.newHandle(), watch: true }, answer);
    });
    return new RemoteBackend(name, session, description, naming);
  }

  offers(device: Device, op: OpRange): boolean {
    return this.description.offers(device, op);
  }

  supports(device: Device, { range }: SupportQuery): Support {
    if (this.offers(device, range)) return { score: 1, reason: '' };
    return { score: 0, reason: 'the server does not offer it there' };
  }

  hasElsewhere(_: Device, source: ModelSource): boolean {
    return this.catalogue.named(source) !== undefined;
  }

  loadModel(device: Device, source: ModelSource): Promise<LoadedModel> {
    return this.models.load(device, source, this.catalogue.named(source));
  }

  prefetchModel(loaded: LoadedModel): Promise<void> {
    return this.models.prefetch(loaded, this.description.deviceName(loaded.device));
  }

  unloadModel(loaded: LoadedModel): Promise<void> {
    this.models.unload(loaded);
    return Promise.resolve();
  }

  /**
   * Gives a model of this machine a name on the server.
   *
   * @throws AxleError as sending it fails, and as the server says of the name.
   */
  async publish(source: ModelSource, as: PublishAs): Promise<void> {
    const [device] = this.devices;
    if (device === undefined) throw new AxleError('UNAVAILABLE', 'the server has no device');
    const loaded = await this.models.load(device, source, undefined);
    try {
      await this.catalogue.publish(this.models.handleOf(loaded.handle as RemoteModel), as);
    } finally {
      this.models.unload(loaded);
    }
  }

  async allocate(byteLength: number): Promise<Uint8Array | undefined> {
    const arena = await this.session.knownArena();
    return arena?.lend(byteLength);
  }

  keep(tensor: Tensor, cancellation: Cancellation): Promise<Tensor> {
    return RemotePut.send(this.session, this.name, tensor, cancellation);
  }

  submit(device: Device, batch: readonly BackendTask[]): void {
    for (const task of batch) this.sendCall(device, task);
  }

  cancel(task: BackendTask): void {
    const { backendData } = task;
    if (backendData instanceof RemoteCall) backendData.cancel();
  }

  openStream(
    device: Device,
    range: OpRange,
    args: OpArgs,
    { deadlineAt, priority, trace }: StreamOptions,
  ): BackendStream {
    const { session } = this;
    const binding = this.bindingOf(device, {
      range,
      args,
      inputs: [],
      outputBytesMax: 0,
      model: undefined,
    });
    const client = session.connected();
    const id = session.newHandle();
    const stream = new RemoteStream(client, id);
    const deadlineUs = deadlineUsOf(deadlineAt, performance.now());
    const frame = { type: 'STREAM', id, binding: binding.id, deadlineUs, priority } as const;
    client.ask({ ...frame, trace }, stream);
    client.expectData(id);
    return stream;
  }

  health(device: Device): Promise<Health> {
    const { lostReason } = this.session;
    if (lostReason !== undefined) {
      // Whoever asks would use it, and a device that is lost gets no calls that would look for it.
      this.session.seek();
      return Promise.resolve({ state: 'LOST', message: lostReason.message });
    }
    return Promise.resolve(this.lastHealth(device));
  }

  /** The same, as the server said last. */
  lastHealth(device: Device): Health {
    return this.latest.healthOf(this.description.deviceName(device));
  }

  /** Whether it said so of the device. */
  isLost(device: Device): boolean {
    const { latest } = this;
    if (latest === this.description) return latest.isLostAt(device.index);
    return this.lastHealth(device).state === 'LOST';
  }

  /** How long a new task would wait for a device, as the server said last. */
  waitOf(device: Device): ToldWait {
    const { latest } = this;
    if (latest === this.description) return latest.waitAt(device.index);
    return this.latest.waitOf(this.description.deviceName(device));
  }

  chargeElsewhere(device: Device, _tenant: string, deviceMs: number): void {
    this.session.tell({ type: 'USED', id: 0, device: device.index, usedUs: toWireUs(deviceMs) });
  }

  /** The server came back with devices or ops that it did not have before, which this knows nothing of. */
  get isOutgrown(): boolean {
    return this.latest !== this.description && !this.description.covers(this.latest);
  }

  close(): Promise<void> {
    this.session.close(new AxleError('CANCELLED', 'the client was closed'));
    return Promise.resolve();
  }

  /** What core calls a device of the server's, by its index there; '' = none. */
  deviceIdAt(index: number): string {
    return this.devices[index]?.id ?? '';
  }

  private describeAgain(): void {
    const { session } = this;
    // If it fails, what was known before stands until the next connection.
    const answer: Description = new Description((error) => {
      if (error === undefined) this.latest = answer;
    });
    session.ask({ type: 'DESCRIBE', id: session.newHandle(), watch: true }, answer);
  }

  private sendCall(device: Device, task: BackendTask): void {
    const { session } = this;
    const binding = this.bindingOf(device, task);
    const call = new RemoteCall(session, session.newHandle(), task, binding, this);
    session.call(call);
    task.backendData = call;
  }

  private bindingOf(device: Device, task: Bound): RemoteBinding {
    const loaded = task.model?.handle as RemoteModel | undefined;
    const model = loaded === undefined ? 0 : this.models.handleOf(loaded);
    const { lastBinding } = this;
    if (lastBinding?.model === model && isFor(lastBinding, device, task)) {
      return lastBinding.binding;
    }
    const { range, args, outputBytesMax } = task;
    const { name, op, version, first, last } = range;
    const names = task.asCame?.inputNames ?? task.inputs.map((input) => input.name);
    const key = `${device.index} ${name}${op}.${version}.${first}.${last} ${model} ${outputBytesMax} ${JSON.stringify(names)} ${argsKey(args)}`;
    const known = this.bindings.get(key);
    const binding = known?.binding ?? this.bind(key, device, task, names, model);
    const used = { binding, device, range, args, outputBytesMax, names, model };
    // In the order of their last use.
    this.bindings.delete(key);
    this.bindings.set(key, used);
    this.lastBinding = used;
    const granted = Math.floor(this.session.handlesMax / bindingsPart);
    this.releaseOldest(Math.max(1, Math.min(this.kept, granted)));
    return binding;
  }

  private bind(
    key: string,
    device: Device,
    { range, args, outputBytesMax, model: loaded }: Bound,
    names: readonly string[],
    model: number,
  ): RemoteBinding {
    const { name, op, version, first, last } = range;
    const isChain = last > first;
    const remote = loaded?.handle as RemoteModel | undefined;
    const binding = new RemoteBinding(
      {
        type: 'BIND',
        id: this.session.newHandle(),
        // Core has chosen, and knows what else there is.
        strict: true,
        names: true,
        // Of a model that is there only.
        labels: isChain && remote?.bytes === undefined,
        steps: isChain,
        op: name === '' ? op : 0,
        opVersion: version,
        first,
        last,
        opName: name,
        device: this.description.deviceName(device),
        model,
        outputBytesMax,
        args: writeArgs(args),
        inputNames: names.every((input) => input === '') ? [] : names,
      },
      this.isRepeatable(range),
      remote === undefined ? undefined : this.models.journalled(remote),
      // The next call tries a new one.
      (failed, { code }) => {
        this.session.forget(failed.id);
        if (this.bindings.get(key)?.binding === failed) this.forget(key);
        if (code === 'RESOURCE_EXHAUSTED') this.keepFewer();
      },
    );
    this.session.hold(binding);
    return binding;
  }

  private forget(key: string): void {
    this.bindings.delete(key);
    this.lastBinding = undefined;
  }

  /** Handles ran out: the tenant's other clients have them too, or its quota was made smaller. */
  private keepFewer(): void {
    this.kept = Math.floor(this.bindings.size / 2);
    this.releaseOldest(0);
  }

  /** All but so many that were used last. */
  private releaseOldest(kept: number): void {
    for (const [key, { binding }] of this.bindings) {
      if (this.bindings.size <= kept) return;
      this.bindings.delete(key);
      if (this.lastBinding?.binding === binding) this.lastBinding = undefined;
      this.session.release(binding.id);
    }
  }

  private releaseBindingsOf(modelHandle: number): void {
    for (const [key, { binding, model }] of this.bindings) {
      if (model !== modelHandle) continue;
      this.forget(key);
      this.session.release(binding.id);
    }
  }

  /** By what the server says of the op: whether it may run a second time. */
  private isRepeatable(range: OpRange): boolean {
    const offered = this.ops.find((op) => sameRange(op, range));
    const flags = offered?.flags ?? 0;
    return hasFlag(flags, 'PURE') || hasFlag(flags, 'IDEMPOTENT');
  }
}

/** Whether it is sure, at a glance, that the binding is the task's. */
function isFor(binding: KnownBinding, device: Device, task: Bound): boolean {
  if (binding.range !== task.range || binding.args !== task.args) return false;
  if (binding.device !== device || binding.outputBytesMax !== task.outputBytesMax) return false;
  const { names } = binding;
  const { asCame } = task;
  if (asCame !== undefined) return areSame(names, asCame.inputNames);
  const { inputs } = task;
  if (names.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) {
    if (inputs[i]?.name !== names[i]) return false;
  }
  return true;
}

function areSame(names: readonly string[], others: readonly string[]): boolean {
  if (names.length !== others.length) return false;
  for (let i = 0; i < names.length; i++) if (names[i] !== others[i]) return false;
  return true;
}

/** @param now on the same clock */
function deadlineUsOf(deadlineAt: number | undefined, now: number): number {
  // 0 would be none.
  return deadlineAt === undefined ? 0 : Math.max(1, toWireUs(deadlineAt - now));
}
