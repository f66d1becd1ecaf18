import { performance } from 'node:perf_hooks';

import type { Backend, Device } from './backend.js';
import type { CallObserver } from './call-observer.js';
import { DeviceUses } from './device-uses.js';
import { Dispatch } from './dispatch.js';
import { AxleError, messageOf } from './errors.js';
import { ImageBackend } from './image-backend.js';
import type { Limits } from './limits.js';
import { ModelLibrary, type ModelCatalogue } from './models/library.js';
import type { Model } from './models/model.js';
import { ModelRepository } from './models/repository.js';
import { ModelStore, type ModelContent } from './models/model-store.js';
import { NativeHost, type RenamedBackend } from './native-backend.js';
import type { PluginSpec } from './plugin-spec.js';
import { CircuitBreaker } from './plans/circuit-breaker.js';
import { failureListener } from './plans/device-failures.js';
import { CostModel } from './plans/cost-model.js';
import { HealthMonitor } from './plans/health-monitor.js';
import { Router } from './plans/router.js';
import { Registry } from './registry.js';
import { DeviceQueue, type Clock, type QueueDepths } from './scheduling/device-queue.js';
import type { TenantShare } from './scheduling/tenants.js';
import type { TimeSlice } from './scheduling/time-slices.js';
import { timerMsMax } from './timer-limit.js';

export interface RuntimeOptions {
  readonly plugins: readonly PluginSpec[];
  /** Whether this process decodes images; default true. */
  readonly decodesImages?: boolean;
  /** Loads now what is otherwise loaded at its first use, such as the image decoder: for servers. */
  readonly loadsAhead?: boolean;
  /** Beside the plugins; the runtime closes them. */
  readonly backends?: readonly Backend[];
  /** Repository folders; a model name is looked up in them in order. */
  readonly models: readonly string[];
  /** Where names are looked up that no folder has. */
  readonly catalogue?: ModelCatalogue;
  readonly limits: Limits;
}

/** Everything that runs calls in this process: backends, queues, loaded models. Sessions share it. */
export class Runtime {
  readonly clock: Clock = () => performance.now();
  readonly registry = new Registry();
  readonly repository: ModelRepository;
  readonly library: ModelLibrary;
  readonly costs: CostModel;
  readonly router: Router;
  readonly dispatch: Dispatch;
  /** To be set before there are calls. */
  callObserver: CallObserver | undefined = undefined;
  readonly uses = new DeviceUses();
  /** May change at any time. */
  queueDepths: QueueDepths;
  /** What tenants have of each device's time, other than by their weights; may change at any time. */
  timeSliceOf: (tenant: string) => TimeSlice | undefined = () => undefined;
  private readonly models: ModelStore;
  private readonly queues = new Map<string, DeviceQueue>();
  private lastQueue: DeviceQueue | undefined;

  private constructor(
    private readonly limits: Limits,
    modelFolders: readonly string[],
    catalogue: ModelCatalogue | undefined,
  ) {
    const { queueDepthMax, tenantQueueDepthMax } = limits;
    this.queueDepths = { all: queueDepthMax, tenant: tenantQueueDepthMax, named: new Map() };
    this.repository = new ModelRepository(modelFolders, limits);
    this.library = new ModelLibrary(this.repository, catalogue);
    this.models = new ModelStore({
      limits,
      clock: this.clock,
      queueOf: (device) => this.queueOf(device),
      onFailure: (device, error) => {
        deviceFailed(device, error);
      },
    });
    this.costs = new CostModel({
      load: (device) => this.loadOf(device),
      hasModel: (device, model) => this.models.has(device, model),
    });
    const breaker = new CircuitBreaker(this.clock);
    const health = new HealthMonitor(this.registry, this.clock);
    const deviceFailed = failureListener(breaker, health);
    this.router = new Router(this.registry, this.costs, breaker, health);
    this.dispatch = new Dispatch({
      router: this.router,
      costs: this.costs,
      breaker,
      deviceFailed,
      models: this.models,
      queueOf: ({ device }) => this.queueOf(device),
      clock: this.clock,
      uses: this.uses,
    });
  }

  /**
   * Opens the plugins. One that this machine cannot have is listed with the reason and harms nothing.
   *
   * @throws AxleError FAILED_PRECONDITION when the addon is not built.
   */
  static async start(options: RuntimeOptions): Promise<Runtime> {
    const runtime = new Runtime(options.limits, options.models, options.catalogue);
    if (options.decodesImages ?? true) {
      const images = new ImageBackend(options.limits);
      if (options.loadsAhead ?? false) await images.load();
      runtime.registry.add(images);
    }
    for (const backend of options.backends ?? []) await runtime.addBackend(backend);
    if (options.plugins.length === 0) return runtime;
    const host = NativeHost.shared();
    const opened = await Promise.all(options.plugins.map((spec) => runtime.openPlugin(host, spec)));
    // In the order of the options, whichever was open first: it decides between equals.
    for (const [i, backend] of opened.entries()) {
      if (backend === undefined) continue;
      const isTaken = runtime.registry.has(backend.name);
      const name = isTaken ? (options.plugins[i] as PluginSpec).name : backend.name;
      await runtime.addBackend(name === backend.name ? backend : backend.renamed(name));
    }
    return runtime;
  }

  /** Tasks that wait for a device or run on it. */
  loadOf(device: Device): number {
    return this.queues.get(device.id)?.load ?? 0;
  }

  /**
   * How long a new task would wait for the device, by what those took that ran there; milliseconds.
   *
   * @param share whose task it would be; undefined: of one who waits for all that is there
   */
  waitMsOf(device: Device, share?: TenantShare): number {
    const queue = this.queues.get(device.id);
    if (queue === undefined) return 0;
    return share === undefined ? queue.waitMs : queue.waitMsOf(share);
  }

  /** A tenant had so much time of other devices of the pool that one of these is of. */
  chargeElsewhere(device: Device, tenant: string, deviceMs: number): void {
    this.queueOf(device).chargeElsewhere(tenant, deviceMs);
  }

  /** Tasks that wait for devices of this process, by the content of their models. */
  get waitingByModel(): ReadonlyMap<string, number> {
    const all = new Map<string, number>();
    for (const { waitingByModel } of this.queues.values()) {
      for (const [model, waiting] of waitingByModel) {
        all.set(model, (all.get(model) ?? 0) + waiting);
      }
    }
    return all;
  }

  /** What loading the model failed with, while no device has it. Undefined: it did not fail, as far as is known. */
  loadFailure(model: Model): unknown {
    return this.models.loadFailure(model);
  }

  /** Frees the devices of a model, when no call uses it there. */
  unloadModel(model: ModelContent): Promise<void> {
    return this.models.unload(model);
  }

  /** To be called once, with no calls in flight. */
  async close(): Promise<void> {
    for (const queue of this.queues.values()) queue.close();
    const { closeMsMax } = this.limits;
    const [models] = await Promise.allSettled([within(closeMsMax, this.models.close(), 'models')]);
    const backends = await Promise.allSettled(
      this.registry.all.map((backend) =>
        within(closeMsMax, backend.close(), `backend '${backend.name}'`),
      ),
    );
    // The backends' failures say more than what waited for them.
    for (const outcome of [...backends, models]) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  }

  private async openPlugin(
    host: NativeHost,
    spec: PluginSpec,
  ): Promise<RenamedBackend | undefined> {
    try {
      return await host.open(spec);
    } catch (error) {
      if (!(error instanceof AxleError)) throw error;
      this.registry.addUnavailable(spec.name, messageOf(error));
      return undefined;
    }
  }

  private async addBackend(backend: Backend): Promise<void> {
    try {
      this.registry.add(backend);
    } catch (error) {
      await backend.close();
      this.registry.addUnavailable(backend.name, messageOf(error));
    }
  }

  private queueOf(device: Device): DeviceQueue {
    // The common case: the device of the call before.
    if (this.lastQueue?.device === device) return this.lastQueue;
    let queue = this.queues.get(device.id);
    if (queue === undefined) {
      const backend = this.registry.backendOf(device);
      queue = new DeviceQueue(backend, device, this.limits, this.clock, {
        depths: () => this.queueDepths,
        timeSliceOf: (tenant) => this.timeSliceOf(tenant),
      });
      this.queues.set(device.id, queue);
    }
    this.lastQueue = queue;
    return queue;
  }
}

/** @throws AxleError DEADLINE_EXCEEDED when `work` has not ended in time; it goes on. */
async function within(ms: number, work: Promise<void>, who: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(
          new AxleError(
            'DEADLINE_EXCEEDED',
            `${who} did not close within ${ms} ms: a task was not ended after it was cancelled, or a call ` +
              'of its plugin does not return; it is left open, and the process ends with process.exit only',
          ),
        );
      },
      Math.min(ms, timerMsMax),
    );
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
