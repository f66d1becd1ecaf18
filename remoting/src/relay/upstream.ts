import {
  asAxleError,
  AxleError,
  type BackendStream,
  type BackendTask,
  type Device,
  type LoadedModel,
  type ModelSource,
  type OpArgs,
  type OpRange,
  type StreamOptions,
} from '@axle/core/internal';

import type { RemoteBackend } from '../client/remote-backend.js';
import type { NamedModels } from '../client/named-models.js';
import { LateStream } from './late-stream.js';
import { RelayedTask } from './relayed-task.js';
import { upstreamSources } from './upstream-sources.js';

/** @throws AxleError where the server does not have it. */
export type SourceOn = (remote: RemoteBackend, source: ModelSource) => Promise<ModelSource>;

/** One tenant's connection to a server, from when it is first needed. */
export class Upstream {
  private remote: RemoteBackend | undefined = undefined;
  /** By what the relay's own runtime has. */
  private readonly models = new Map<LoadedModel, Promise<LoadedModel>>();
  private readonly loaded = new Map<LoadedModel, LoadedModel>();
  private preparing = 0;

  /**
   * @param opening rejects when there is no connection to be had; the upstream is of no use then
   * @param sourceOn what a model is on the server, where that is not what the relay has
   */
  constructor(
    private readonly opening: Promise<RemoteBackend>,
    private readonly sourceOn: SourceOn = (_remote, source) => Promise.resolve(source),
  ) {
    opening.then(
      (remote) => {
        this.remote = remote;
      },
      () => undefined,
    );
  }

  /** Nothing is under way on it. */
  get isIdle(): boolean {
    return this.preparing === 0 && (this.remote?.session.unanswered ?? 0) === 0;
  }

  /**
   * Sends a task, as soon as the connection and its model are there.
   *
   * @throws AxleError as the connection does that is there; it has not taken the task then.
   */
  submit(device: Device, task: BackendTask): void {
    const { remote } = this;
    if (remote !== undefined && task.model === undefined) {
      remote.submit(deviceOf(remote, device), [task]);
      return;
    }
    const relayed = new RelayedTask(task);
    const model = task.model && this.loaded.get(task.model);
    task.backendData = relayed;
    if (remote !== undefined && model !== undefined) {
      relayed.model = model;
      remote.submit(deviceOf(remote, device), [relayed]);
    } else void this.submitLate(device, relayed, task.model);
  }

  openStream(device: Device, range: OpRange, args: OpArgs, options: StreamOptions): BackendStream {
    const open = (remote: RemoteBackend) =>
      remote.openStream(deviceOf(remote, device), range, args, options);
    return this.remote === undefined
      ? new LateStream(this.counted(async () => open(await this.opening)))
      : open(this.remote);
  }

  /** The tenant had so much time of other devices of the pool that the device is of. Lost where there is no connection. */
  chargeElsewhere(device: Device, deviceMs: number): void {
    const there = this.remote?.devices[device.index];
    if (there?.id === device.id) this.remote?.chargeElsewhere(there, '', deviceMs);
  }

  /** Settles when the model is on the device. @throws AxleError as the server says. */
  prefetch(model: LoadedModel): Promise<void> {
    return this.counted(async () => {
      const remote = await this.opening;
      await remote.prefetchModel(await this.modelOf(remote, model));
    });
  }

  /** Asks for names of models, as the tenant sees them there. @throws AxleError as the server says. */
  ask<T>(question: (names: NamedModels) => Promise<T>): Promise<T> {
    return this.counted(async () => question((await this.opening).catalogue));
  }

  unload(model: LoadedModel): void {
    const loading = this.models.get(model);
    this.models.delete(model);
    this.loaded.delete(model);
    // One that did not load has nothing to be unloaded.
    loading?.then((loaded) => this.remote?.unloadModel(loaded)).catch(() => undefined);
  }

  async close(): Promise<void> {
    const remote = await this.opening.catch(() => undefined);
    await remote?.close();
  }

  private async submitLate(
    device: Device,
    relayed: RelayedTask,
    model: LoadedModel | undefined,
  ): Promise<void> {
    try {
      await this.counted(async () => {
        const remote = await this.opening;
        if (model !== undefined) relayed.model = await this.modelOf(remote, model);
        if (relayed.isCancelled) {
          throw AxleError.expected('CANCELLED', 'the call was cancelled before it was sent');
        }
        remote.submit(deviceOf(remote, device), [relayed]);
      });
    } catch (error) {
      relayed.settle({ ok: false, error: asAxleError(error), neverBegan: true });
    }
  }

  private async modelOf(remote: RemoteBackend, model: LoadedModel): Promise<LoadedModel> {
    let loading = this.models.get(model);
    if (loading === undefined) {
      loading = this.load(remote, model);
      this.models.set(model, loading);
    }
    try {
      const loaded = await loading;
      if (this.models.get(model) === loading) this.loaded.set(model, loaded);
      return loaded;
    } catch (error) {
      if (this.models.get(model) === loading) this.models.delete(model);
      throw error;
    }
  }

  private async load(remote: RemoteBackend, { device, source }: LoadedModel): Promise<LoadedModel> {
    const named = upstreamSources.get(source);
    // Another connection may have found it.
    if (named !== undefined && remote.catalogue.named(source) === undefined) {
      remote.catalogue.know(source, named.report);
    }
    return remote.loadModel(deviceOf(remote, device), await this.sourceOn(remote, source));
  }

  private async counted<T>(work: () => Promise<T>): Promise<T> {
    this.preparing += 1;
    try {
      return await work();
    } finally {
      this.preparing -= 1;
    }
  }
}

/**
 * The same device on another connection to the server, which may have started anew since the relay saw its devices.
 *
 * @throws AxleError UNAVAILABLE.
 */
function deviceOf({ devices }: RemoteBackend, device: Device): Device {
  const there = devices[device.index];
  const found = there?.id === device.id ? there : devices.find(({ id }) => id === device.id);
  if (found !== undefined) return found;
  throw new AxleError('UNAVAILABLE', `the server does not have ${device.id} any more`);
}
