import type { Duplex } from 'node:stream';

import {
  argsKey,
  AxleError,
  type Backend,
  type BackendStream,
  type BackendTask,
  type Device,
  type Health,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type OpArgs,
  type OpRange,
  type StreamOptions,
  type Support,
  type SupportQuery,
} from '@axle/core/internal';

import { writeArgs } from '../arguments.js';
import { wireLimits } from '../generated/wire.js';
import { OutgoingTensors } from '../tensors/outgoing.js';
import { toWireUs } from '../wire/time.js';
import type { HelloCredentials } from './credentials.js';
import { Description } from './description.js';
import { NamedModels, type PublishAs } from './named-models.js';
import { RemoteCall } from './remote-call.js';
import { RemoteModels, type RemoteModel } from './remote-models.js';
import { RemoteStream } from './remote-stream.js';
import { WireClient } from './wire-client.js';

/** Kept on the server at once: the oldest is released for one more. */
const bindingsMax = 1024;

/** Of a task, what its binding says. */
type Bound = Pick<BackendTask, 'range' | 'args' | 'inputs' | 'outputBytesMax' | 'model'>;

/** What was bound under a handle. */
interface KnownBinding {
  /** Handle; 0 = none. */
  readonly model: number;
  readonly id: number;
  readonly device: Device;
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly outputBytesMax: number;
  /** Of the inputs. */
  readonly names: readonly string[];
}

/** A server as core sees it: a backend like any other, which makes the batches itself. */
export class RemoteBackend implements Backend {
  readonly batches = 'there';
  readonly version = '';
  readonly devices: readonly Device[];
  readonly ops: readonly OfferedOp[];
  /** The names of models that the server answers to. */
  readonly catalogue: NamedModels;
  private readonly models: RemoteModels;
  private readonly bindings = new Map<string, KnownBinding>();
  /** Of the last call: the next one is likely to have the same, and finds it without a key. */
  private lastBinding: KnownBinding | undefined = undefined;

  private constructor(
    readonly name: string,
    private readonly client: WireClient,
    private readonly description: Description,
  ) {
    this.devices = description.readDevices(name);
    this.ops = description.readOps();
    this.catalogue = new NamedModels(client);
    this.models = new RemoteModels(client, (handle) => {
      this.releaseBindingsOf(handle);
    });
  }

  /**
   * Greets over a stream that is open, and asks what there is, in one round trip.
   *
   * @throws AxleError UNAVAILABLE when the connection ends before, or as the server refuses.
   */
  static async over(
    stream: Duplex,
    name: string,
    credentials: HelloCredentials,
  ): Promise<RemoteBackend> {
    const client = new WireClient(stream, credentials);
    const description = await new Promise<Description>((resolve, reject) => {
      const answer: Description = new Description((error) => {
        if (error === undefined) resolve(answer);
        else reject(error);
      });
      client.ask({ type: 'DESCRIBE', id: client.newHandle(), watch: true }, answer);
    });
    return new RemoteBackend(name, client, description);
  }

  offers(device: Device, op: OpRange): boolean {
    return this.description.offers(device, op);
  }

  supports(device: Device, { range }: SupportQuery): Support {
    if (this.offers(device, range)) return { score: 1, reason: '' };
    return { score: 0, reason: 'the server does not offer it there' };
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

  submit(device: Device, batch: readonly BackendTask[]): void {
    const now = performance.now();
    for (const task of batch) this.sendCall(device, task, now);
  }

  cancel(task: BackendTask): void {
    const { backendData } = task;
    if (backendData instanceof RemoteCall) this.client.cancel(backendData.id);
  }

  openStream(
    device: Device,
    range: OpRange,
    args: OpArgs,
    { deadlineAt, priority }: StreamOptions,
  ): BackendStream {
    const { client } = this;
    const binding = this.bindingOf(device, {
      range,
      args,
      inputs: [],
      outputBytesMax: 0,
      model: undefined,
    });
    const id = client.newHandle();
    const stream = new RemoteStream(client, id);
    const deadlineUs = deadlineUsOf(deadlineAt, performance.now());
    client.ask({ type: 'STREAM', id, binding, deadlineUs, priority, trace: undefined }, stream);
    client.expectData(id);
    return stream;
  }

  health(device: Device): Promise<Health> {
    const { closedReason } = this.client;
    if (closedReason === undefined) return Promise.resolve(this.description.health(device));
    return Promise.resolve({ state: 'LOST', message: closedReason.message });
  }

  close(): Promise<void> {
    this.client.close(new AxleError('CANCELLED', 'the client was closed'));
    return Promise.resolve();
  }

  /** What core calls a device of the server's, by its index there; '' = none. */
  deviceIdAt(index: number): string {
    return this.devices[index]?.id ?? '';
  }

  private sendCall(device: Device, task: BackendTask, now: number): void {
    const { client } = this;
    const binding = this.bindingOf(device, task);
    const id = client.newHandle();
    const { records, following } = new OutgoingTensors(
      task.inputs,
      false,
      wireLimits.payloadBytesMax,
    );
    const call = new RemoteCall(client, id, task, now, this);
    client.ask(
      {
        type: 'CALL',
        id,
        keep: false,
        omit: false,
        replay: false,
        binding,
        deadlineUs: deadlineUsOf(task.deadlineAt, now),
        priority: task.priority,
        place: undefined,
        trace: undefined,
        inputs: records,
      },
      call,
    );
    task.backendData = call;
    if (following.length > 0) client.sendTensors(id, following);
  }

  private bindingOf(device: Device, task: Bound): number {
    const loaded = task.model?.handle as RemoteModel | undefined;
    const model = loaded === undefined ? 0 : this.models.handleOf(loaded);
    const { lastBinding } = this;
    if (lastBinding?.model === model && isFor(lastBinding, device, task)) return lastBinding.id;
    const { range, args, outputBytesMax } = task;
    const { name, op, version, first, last } = range;
    const names = task.inputs.map((input) => input.name);
    const key = `${device.index} ${name}${op}.${version}.${first}.${last} ${model} ${outputBytesMax} ${names.join()} ${argsKey(args)}`;
    const known = this.bindings.get(key);
    const id = known?.id ?? this.bind(key, device, task, names, model);
    const binding = { id, device, range, args, outputBytesMax, names, model };
    this.bindings.set(key, binding);
    this.lastBinding = binding;
    if (this.bindings.size > bindingsMax) this.releaseOldest();
    return id;
  }

  private bind(
    key: string,
    device: Device,
    { range, args, outputBytesMax, model: loaded }: Bound,
    names: readonly string[],
    model: number,
  ): number {
    const { name, op, version, first, last } = range;
    const id = this.client.newHandle();
    const isChain = last > first;
    this.client.ask(
      {
        type: 'BIND',
        id,
        // Core has chosen, and knows what else there is.
        strict: true,
        names: true,
        // Of a model that is there only.
        labels: isChain && (loaded?.handle as RemoteModel | undefined)?.bytes === undefined,
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
      {
        onFrame: () => true,
        // Calls fail with what their binding fails with; the next one tries a new one.
        onFailed: () => {
          if (this.bindings.get(key)?.id === id) this.forget(key);
        },
      },
    );
    return id;
  }

  private forget(key: string): void {
    this.bindings.delete(key);
    this.lastBinding = undefined;
  }

  private releaseOldest(): void {
    for (const [key, { id }] of this.bindings) {
      this.forget(key);
      this.client.send({ type: 'RELEASE', id });
      return;
    }
  }

  private releaseBindingsOf(modelHandle: number): void {
    for (const [key, { id, model }] of this.bindings) {
      if (model !== modelHandle) continue;
      this.forget(key);
      this.client.send({ type: 'RELEASE', id });
    }
  }
}

/** Whether it is sure, at a glance, that the binding is the task's. */
function isFor(binding: KnownBinding, device: Device, task: Bound): boolean {
  const { inputs } = task;
  if (binding.range !== task.range || binding.args !== task.args) return false;
  if (binding.device !== device || binding.outputBytesMax !== task.outputBytesMax) return false;
  if (binding.names.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) {
    if (inputs[i]?.name !== binding.names[i]) return false;
  }
  return true;
}

/** @param now on the same clock */
function deadlineUsOf(deadlineAt: number | undefined, now: number): number {
  // 0 would be none.
  return deadlineAt === undefined ? 0 : Math.max(1, toWireUs(deadlineAt - now));
}
