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
import { Description } from './description.js';
import { RemoteCall } from './remote-call.js';
import { RemoteStream } from './remote-stream.js';
import { WireClient } from './wire-client.js';

/** Kept on the server at once: the oldest is released for one more. */
const bindingsMax = 1024;

/** Of a task, what its binding says. */
type Bound = Pick<BackendTask, 'range' | 'args' | 'inputs' | 'outputBytesMax'>;

/** What was bound under a handle. */
interface KnownBinding {
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
  }

  /**
   * Greets over a stream that is open, and asks what there is, in one round trip.
   *
   * @throws AxleError UNAVAILABLE when the connection ends before, or as the server refuses.
   */
  static async over(stream: Duplex, name: string): Promise<RemoteBackend> {
    const client = new WireClient(stream);
    const description = await new Promise<Description>((resolve, reject) => {
      const answer: Description = new Description((error) => {
        if (error === undefined) resolve(answer);
        else reject(error);
      });
      client.ask({ type: 'DESCRIBE', id: client.newHandle(), watch: true }, answer);
    });
    return new RemoteBackend(name, client, description);
  }

  supports(device: Device, { range }: SupportQuery): Support {
    if (this.description.offers(device, range)) return { score: 1, reason: '' };
    return { score: 0, reason: 'the server does not offer it there' };
  }

  loadModel(): Promise<LoadedModel> {
    return Promise.reject(
      new AxleError('UNIMPLEMENTED', 'models go to servers in a later version'),
    );
  }

  unloadModel(): Promise<void> {
    return Promise.resolve();
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
    const binding = this.bindingOf(device, { range, args, inputs: [], outputBytesMax: 0 });
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

  private sendCall(device: Device, task: BackendTask, now: number): void {
    const { client } = this;
    const binding = this.bindingOf(device, task);
    const id = client.newHandle();
    const { records, following } = new OutgoingTensors(
      task.inputs,
      false,
      wireLimits.payloadBytesMax,
    );
    const call = new RemoteCall(client, id, task, now);
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
    const { lastBinding } = this;
    if (lastBinding !== undefined && isFor(lastBinding, device, task)) return lastBinding.id;
    const { range, args, outputBytesMax } = task;
    const { name, op, version, first, last } = range;
    const names = task.inputs.map((input) => input.name);
    const key = `${device.index} ${name}${op}.${version}.${first}.${last} ${outputBytesMax} ${names.join()} ${argsKey(args)}`;
    const known = this.bindings.get(key);
    const id = known?.id ?? this.bind(key, device, task, names);
    const binding = { id, device, range, args, outputBytesMax, names };
    this.bindings.set(key, binding);
    this.lastBinding = binding;
    if (this.bindings.size > bindingsMax) this.releaseOldest();
    return id;
  }

  private bind(
    key: string,
    device: Device,
    { range, args, outputBytesMax }: Bound,
    names: readonly string[],
  ): number {
    const { name, op, version, first, last } = range;
    const id = this.client.newHandle();
    this.client.ask(
      {
        type: 'BIND',
        id,
        // Core has chosen, and knows what else there is.
        strict: true,
        names: true,
        labels: false,
        steps: false,
        op: name === '' ? op : 0,
        opVersion: version,
        first,
        last,
        opName: name,
        device: this.description.deviceName(device),
        model: 0,
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
}

/** @param now on the same clock */
function deadlineUsOf(deadlineAt: number | undefined, now: number): number {
  // 0 would be none.
  return deadlineAt === undefined ? 0 : Math.max(1, toWireUs(deadlineAt - now));
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
