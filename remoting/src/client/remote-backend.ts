import {
  argsKey,
  AxleError,
  type Backend,
  type BackendStream,
  type BackendTask,
  type Device,
  hasFlag,
  type Health,
  type LoadedModel,
  type OfferedOp,
  type OpArgs,
  type OpRange,
  sameRange,
  type Support,
  type SupportQuery,
} from '@axle/core/internal';

import { writeArgs } from '../arguments.js';
import { Description } from './description.js';
import { RemoteBinding } from './remote-binding.js';
import { RemoteCall } from './remote-call.js';
import { RemoteSession, type SessionOptions } from './remote-session.js';

/** Kept on the server at once: the oldest is released for one more. */
const bindingsMax = 1024;

/** What a binding is for. */
interface KnownBinding {
  readonly binding: RemoteBinding;
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

  /** What the server says that it has now; it may be another one by now. */
  private present: ReadonlySet<string>;

  private constructor(
    readonly name: string,
    readonly session: RemoteSession,
    private readonly description: Description,
  ) {
    this.devices = description.readDevices(name);
    this.ops = description.readOps();
    this.present = description.deviceNames;
    session.whenReopened(() => {
      this.describeAgain();
    });
  }

  /**
   * Greets a server and asks what there is, in one round trip.
   *
   * @throws AxleError UNAVAILABLE when no server answers or the connection ends before, or as the server refuses.
   */
  static async connect(options: SessionOptions, name: string): Promise<RemoteBackend> {
    const session = await RemoteSession.open(options);
    const description = await new Promise<Description>((resolve, reject) => {
      const answer: Description = new Description((error) => {
        if (error === undefined) resolve(answer);
        else reject(error);
      });
      session.ask({ type: 'DESCRIBE', id: session.newHandle(), watch: false }, answer);
    });
    return new RemoteBackend(name, session, description);
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
    for (const task of batch) this.sendCall(device, task);
  }

  cancel(task: BackendTask): void {
    const { backendData } = task;
    if (backendData instanceof RemoteCall) backendData.cancel();
  }

  openStream(): BackendStream {
    throw new AxleError('UNIMPLEMENTED', 'streams go to servers in a later version');
  }

  health(device: Device): Promise<Health> {
    const { lostReason } = this.session;
    if (lostReason !== undefined) {
      return Promise.resolve({ state: 'LOST', message: lostReason.message });
    }
    if (this.present.has(this.description.deviceName(device))) {
      return Promise.resolve({ state: 'OK', message: '' });
    }
    return Promise.resolve({ state: 'LOST', message: 'the server does not have it any more' });
  }

  close(): Promise<void> {
    this.session.close(new AxleError('CANCELLED', 'the client was closed'));
    return Promise.resolve();
  }

  private describeAgain(): void {
    const { session } = this;
    // If it fails, what was known before stands until the next connection.
    const answer: Description = new Description((error) => {
      if (error === undefined) this.present = answer.deviceNames;
    });
    session.ask({ type: 'DESCRIBE', id: session.newHandle(), watch: false }, answer);
  }

  private sendCall(device: Device, task: BackendTask): void {
    const { session } = this;
    const binding = this.bindingOf(device, task);
    const call = new RemoteCall(session, session.newHandle(), task, binding);
    session.call(call);
    task.backendData = call;
  }

  private bindingOf(device: Device, task: BackendTask): RemoteBinding {
    const { lastBinding } = this;
    if (lastBinding !== undefined && isFor(lastBinding, device, task)) return lastBinding.binding;
    const { range, args, outputBytesMax } = task;
    const { name, op, version, first, last } = range;
    const names = task.inputs.map((input) => input.name);
    const key = `${device.index} ${name}${op}.${version}.${first}.${last} ${outputBytesMax} ${names.join()} ${argsKey(args)}`;
    const known = this.bindings.get(key);
    const binding = known?.binding ?? this.bind(key, device, task, names);
    const used = { binding, device, range, args, outputBytesMax, names };
    this.bindings.set(key, used);
    this.lastBinding = used;
    if (this.bindings.size > bindingsMax) this.releaseOldest();
    return binding;
  }

  private bind(
    key: string,
    device: Device,
    { range, args, outputBytesMax }: BackendTask,
    names: readonly string[],
  ): RemoteBinding {
    const { name, op, version, first, last } = range;
    const binding = new RemoteBinding(
      {
        type: 'BIND',
        id: this.session.newHandle(),
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
      this.isRepeatable(range),
      // The next call tries a new one.
      (failed) => {
        this.session.forget(failed.id);
        if (this.bindings.get(key)?.binding === failed) this.forget(key);
      },
    );
    this.session.hold(binding);
    return binding;
  }

  private forget(key: string): void {
    this.bindings.delete(key);
    this.lastBinding = undefined;
  }

  private releaseOldest(): void {
    for (const [key, { binding }] of this.bindings) {
      this.forget(key);
      this.session.release(binding.id);
      return;
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
function isFor(binding: KnownBinding, device: Device, task: BackendTask): boolean {
  const { inputs } = task;
  if (binding.range !== task.range || binding.args !== task.args) return false;
  if (binding.device !== device || binding.outputBytesMax !== task.outputBytesMax) return false;
  if (binding.names.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) {
    if (inputs[i]?.name !== binding.names[i]) return false;
  }
  return true;
}
