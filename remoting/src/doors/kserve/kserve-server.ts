import { AxleError, messageOf, type Runtime } from '@axle/core/internal';

import type { ServedModel, ServerModels } from '../../server/models/server-models.js';
import type { DoorClient } from '../door-clients.js';
import { InferCall } from './infer-call.js';
import type { InferRequest } from './infer-request.js';
import {
  modelMetadata,
  serverMetadata,
  type ModelMetadata,
  type ServerMetadata,
} from './metadata.js';
import { modelConfig } from './model-config.js';
import { findModel } from './model-reference.js';
import type { OperatorSettings, ServerSettings } from './operator-settings.js';
import { ModelStatistics, type CountedModel } from './model-statistics.js';
import type { SharedRegions } from './shared-memory/shared-regions.js';

/** One line of the repository's index. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/** Open Inference Protocol without a protocol: what all doors answer alike. */
export class KserveServer {
  readonly statistics = new ModelStatistics(Date.now);
  private draining = false;
  private readonly drainListeners: (() => void)[] = [];

  /**
   * @param controllers tenants that may load and unload the operator's models
   * @param runtime whose clock has milliseconds, of any start
   * @param regions undefined: the server shares no memory
   */
  constructor(
    readonly models: ServerModels,
    private readonly controllers: readonly string[],
    private readonly runtime: Pick<Runtime, 'clock' | 'loadFailure'>,
    private readonly regions: SharedRegions | undefined,
    readonly settings: OperatorSettings,
  ) {}

  get clock(): () => number {
    return this.runtime.clock;
  }

  /** Whether it takes calls. */
  get isReady(): boolean {
    return !this.draining;
  }

  /** It takes no more. */
  drain(): void {
    this.draining = true;
    for (const listener of this.drainListeners) listener();
  }

  onDrain(listener: () => void): void {
    this.drainListeners.push(listener);
  }

  metadata(): ServerMetadata {
    return serverMetadata(this.regions !== undefined);
  }

  /** @param deadlineMs time from now; undefined: none */
  infer(client: DoorClient, request: InferRequest, deadlineMs: number | undefined): InferCall {
    return new InferCall(this, client, request, deadlineMs);
  }

  /** Whether the model can be called, as far as is known: a model may be loaded by its first call. @throws AxleError for what is no name of a model */
  async isModelReady(client: DoorClient, name: string, version: string): Promise<boolean> {
    try {
      const { served, release } = await findModel(this.models, client, name, version);
      release();
      return this.runtime.loadFailure(served.model) === undefined;
    } catch (error) {
      if (error instanceof AxleError && error.code === 'INVALID_ARGUMENT' && name === '')
        throw error;
      if (error instanceof AxleError) return false;
      throw error;
    }
  }

  /** @throws as `findModel` */
  async modelMetadata(client: DoorClient, name: string, version: string): Promise<ModelMetadata> {
    const { served, release } = await findModel(this.models, client, name, version);
    release();
    const all = await this.models.versions(client.tenant.name, name);
    return modelMetadata(name, version === '' ? all : [served.version], served.model);
  }

  /** @throws as `findModel` */
  async modelConfig(client: DoorClient, name: string, version: string): Promise<object> {
    const { served, release } = await findModel(this.models, client, name, version);
    release();
    return modelConfig(name, served.model);
  }

  /** '' stands for all that the client has called. @throws as `findModel` for a model that is not there */
  async modelStatistics(
    client: DoorClient,
    name: string,
    version: string,
  ): Promise<CountedModel[]> {
    const counted = this.statistics.of(client.tenant.name, name, version);
    if (name === '' || counted.length > 0) return counted;
    const { served, release } = await findModel(this.models, client, name, version);
    release();
    return [this.statistics.none(served)];
  }

  /** All models that the client sees. */
  async index(client: DoorClient, readyOnly: boolean): Promise<IndexEntry[]> {
    const listed = await this.models.list(client.tenant.name);
    const callable = listed.map(({ name, version, found }) => {
      const reason = this.problemOf(found);
      return {
        name,
        version,
        state: reason === undefined ? 'READY' : 'UNAVAILABLE',
        reason: reason ?? '',
      };
    });
    const states = (await this.models.published.states()) ?? [];
    const names = new Set(states.map(({ name }) => name));
    return [...callable.filter(({ name }) => !names.has(name)), ...states].filter(
      ({ state }) => !readyOnly || state === 'READY',
    );
  }

  private problemOf(found: ServedModel | AxleError): string | undefined {
    if (found instanceof AxleError) return found.message;
    const failure = this.runtime.loadFailure(found.model);
    return failure === undefined ? undefined : messageOf(failure);
  }

  regionsOf({ isLocal }: DoorClient): SharedRegions {
    const { regions } = this;
    if (regions === undefined) {
      throw new AxleError(
        'UNIMPLEMENTED',
        'this server shares no memory with clients; start it with --system-shared-memory, or send the tensors',
      );
    }
    if (isLocal) return regions;
    throw new AxleError(
      'UNIMPLEMENTED',
      'memory is shared with clients on a unix socket only; connect by one, or send the tensors',
    );
  }

  /**
   * Changes trace settings, and tells them.
   *
   * @param model '' stands for all
   * @throws AxleError as `OperatorSettings`; as `findModel` for a model that is not there
   */
  async traceSettings(
    client: DoorClient,
    model: string,
    changes: ServerSettings,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    this.settings.changeTrace(client, changes);
    if (model !== '') (await findModel(this.models, client, model, '')).release();
    return this.settings.traceSettings(client);
  }

  /** Changes log settings, and tells them. @throws AxleError as `OperatorSettings` */
  logSettings(client: DoorClient, changes: ServerSettings): ServerSettings {
    this.settings.changeLog(client, changes);
    return this.settings.logSettings(client);
  }

  /** Gives back what clients left. */
  close(): void {
    this.regions?.close();
  }

  /** @throws AxleError PERMISSION_DENIED; as `PublicModels.load` */
  async load(client: DoorClient, name: string): Promise<void> {
    this.checkController(client);
    await this.models.published.load(name);
  }

  /** @throws AxleError PERMISSION_DENIED; as `PublicModels.unload` */
  unload(client: DoorClient, name: string): void {
    this.checkController(client);
    this.models.published.unload(name);
  }

  private checkController({ tenant }: DoorClient): void {
    if (this.controllers.includes(tenant.name)) return;
    throw new AxleError(
      'PERMISSION_DENIED',
      `tenant ${tenant.name} may not load or unload models for everyone; ask the operator, who names those that may under modelControl`,
    );
  }
}

/** A load that brings its own config or files. */
export function overridden(parameter: string): AxleError {
  return new AxleError(
    'UNIMPLEMENTED',
    `a load takes no parameter '${parameter.slice(0, 64)}': change the files of the model, or push another by axle model push`,
  );
}
