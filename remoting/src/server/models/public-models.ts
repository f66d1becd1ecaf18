import {
  AxleError,
  messageOf,
  OpenedModels,
  type Limits,
  type Model,
  type ModelRepository,
} from '@axle/core/internal';

import type { Log } from '../../log/log.js';
import { ControlledModels, type VersionState } from './controlled-models.js';
import type { ModelControl } from './model-control.js';
import { PublicFolders } from './public-folders.js';

/** Puts models on the devices where their calls will run, warm, and takes them off. */
export interface ModelDevices {
  /** @throws AxleError as the device says. */
  load(model: Model): Promise<void>;
  /** When the calls that use it are done. */
  unload(model: Model): Promise<void>;
}

export interface NamedModelVersion {
  readonly name: string;
  readonly version: string;
}

/** The models of the operator's folders, which everyone sees. */
export class PublicModels {
  private readonly opened: OpenedModels;
  /** Undefined: nobody controls them. */
  private readonly controlled: ControlledModels | undefined;
  private timer: NodeJS.Timeout | undefined;
  private looking = Promise.resolve();

  private readonly folders: PublicFolders;

  constructor(
    repository: ModelRepository,
    { openedModelsMax, openedModelBytesMax }: Limits,
    private readonly control: ModelControl,
    devices: ModelDevices,
    private readonly log: Log,
  ) {
    this.folders = new PublicFolders(repository);
    this.opened = new OpenedModels(openedModelsMax, openedModelBytesMax, (name) =>
      this.folders.read(name as string),
    );
    this.controlled =
      control.mode === 'none' ? undefined : new ControlledModels(this.folders, devices, log);
  }

  /** Loads what is there from the beginning. What cannot be loaded is logged, and listed with the reason. */
  async start(): Promise<void> {
    const { controlled, control } = this;
    if (controlled === undefined) return;
    if (control.mode === 'poll') {
      await this.look();
      this.timer = setInterval(() => void this.look(), control.pollMs).unref();
      return;
    }
    for (const name of control.load) {
      await controlled.load(name).catch((error: unknown) => {
        this.log(`model '${name}': ${messageOf(error)}`, { level: 'warn' });
      });
    }
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** At once, where that can be. @param reference NAME or NAME:VERSION */
  known(reference: string): Model | undefined {
    return this.controlled === undefined
      ? this.opened.known(reference)
      : this.controlled.find(reference);
  }

  /** @throws AxleError NOT_FOUND; as the repository does for a model that is damaged. */
  async open(reference: string): Promise<Model> {
    if (this.controlled === undefined) return this.opened.open(reference);
    const model = this.controlled.find(reference);
    if (model !== undefined) return model;
    throw new AxleError('NOT_FOUND', `model '${reference}' is not loaded`);
  }

  /** Those that can be called, the latest version of each. */
  async list(): Promise<readonly NamedModelVersion[]> {
    return this.controlled === undefined ? this.folders.list() : this.controlled.latest;
  }

  /** That can be called, lowest first. */
  async versions(name: string): Promise<readonly string[]> {
    return this.controlled === undefined
      ? this.folders.versions(name)
      : this.controlled.versions(name);
  }

  /** How they are, where that is controlled: also those that cannot be called. */
  async states(): Promise<readonly VersionState[] | undefined> {
    if (this.controlled === undefined) return undefined;
    const there = await this.folders.list().catch(() => []);
    return this.controlled.statesWith(there);
  }

  /**
   * Reads a model anew, and puts what has changed in the place of what is there when it is ready.
   *
   * @throws AxleError UNIMPLEMENTED where that is not the way; NOT_FOUND; as the model's files and the device are.
   */
  async load(name: string): Promise<void> {
    await this.explicit().load(name);
  }

  /** From now on nobody finds it; calls that have found it end as ever. @throws AxleError UNIMPLEMENTED, NOT_FOUND */
  unload(name: string): void {
    this.explicit().unload(name);
  }

  private explicit(): ControlledModels {
    if (this.control.mode === 'explicit' && this.controlled !== undefined) return this.controlled;
    const advice = 'start the server with --model-control explicit for that';
    throw new AxleError(
      'UNIMPLEMENTED',
      this.control.mode === 'poll'
        ? `explicit model load / unload is not allowed if polling is enabled; ${advice}`
        : `explicit model load / unload is not allowed; ${advice}`,
    );
  }

  private look(): Promise<void> {
    this.looking = this.looking.then(() => this.controlled?.follow());
    return this.looking;
  }
}
