import { AxleError } from 'axle';

import { parseBundleReference } from '../bundles/bundle-reference.js';
import type { BundleStore } from '../bundles/bundle-store.js';
import type { Calls, FunctionAnswer, FunctionCall } from '../calls/function-call.js';
import type { FunctionCalls } from '../calls/function-calls.js';
import type { StartFailure } from '../calls/served-function.js';
import type { SecretStore } from '../secrets/secret-store.js';
import type { Deployment } from './deployment.js';
import { deploymentOf, type DeploymentRequest } from './deployment-request.js';
import type { DeploymentStore } from './deployment-store.js';
import { scaledTo } from './scale-to.js';

export interface FunctionsOptions {
  readonly deployments: DeploymentStore;
  readonly bundles: BundleStore;
  readonly secrets: SecretStore;
  readonly host: FunctionCalls;
  /** What the operator is told. */
  readonly log: (message: string) => void;
  /** Of createdAt. */
  readonly now?: () => Date;
}

/** For calls of a function that is removed. */
const removalGraceMs = 30_000;

/** What doors do to functions: each change is on disk, then with the host, and then answered; one after another. */
export class Functions implements Calls {
  private last: Promise<unknown> = Promise.resolve();
  /** Functions that cannot run since what they run is not whole, as it was when this was opened. */
  private readonly troubles = new Map<string, StartFailure>();
  private collecting: Promise<void> | undefined;
  /** Scaled to none, until the next call. */
  private readonly asleep = new Set<string>();

  private constructor(private readonly options: FunctionsOptions) {}

  /** Takes over what was deployed before, and removes bundles that nothing names any more. */
  static async open(options: FunctionsOptions): Promise<Functions> {
    const functions = new Functions(options);
    const { deployments, bundles, host } = options;
    functions.look(await bundles.troubles(new Set(deployments.list().map(bundleIdOf))));
    for (const deployment of deployments.list()) functions.take(deployment);
    await functions.collect();
    host.whenBundleIsLeft(() => void functions.collect());
    return functions;
  }

  get(name: string): Deployment | undefined {
    return this.options.deployments.get(name);
  }

  /** @throws AxleError NOT_FOUND */
  require(name: string): Deployment {
    const deployment = this.get(name);
    if (deployment !== undefined) return deployment;
    throw AxleError.expected(
      'NOT_FOUND',
      `there is no function ${JSON.stringify(name.slice(0, 100))}; deploy it first`,
    );
  }

  list(): Deployment[] {
    return this.options.deployments.list();
  }

  get count(): number {
    return this.options.deployments.size;
  }

  /**
   * @returns what of the request does nothing here.
   * @throws AxleError ALREADY_EXISTS; NOT_FOUND without such a bundle; as `deploymentOf` and `DeploymentStore.put`.
   */
  create(request: DeploymentRequest): Promise<readonly string[]> {
    return this.inTurn(() => {
      if (this.get(request.name) !== undefined) {
        throw new AxleError(
          'ALREADY_EXISTS',
          `${request.name} is deployed already; update it with PUT`,
        );
      }
      return this.put(request, undefined);
    });
  }

  /** As `create`. @throws AxleError NOT_FOUND: it is not deployed yet. */
  update(request: DeploymentRequest): Promise<readonly string[]> {
    return this.inTurn(() => this.put(request, this.require(request.name)));
  }

  /** Settles when it is not deployed any more; its instances end on their own. @throws AxleError NOT_FOUND */
  remove(name: string): Promise<void> {
    return this.inTurn(async () => {
      this.require(name);
      await this.options.deployments.remove(name);
      this.asleep.delete(name);
      this.troubles.delete(name);
      void this.options.host.remove(name, removalGraceMs).then(() => this.collect());
    });
  }

  /** As many instances from now on, until it is deployed again; of none, until the next call. @throws AxleError NOT_FOUND */
  scale(name: string, replicas: number): Promise<void> {
    return this.inTurn(() => {
      this.options.host.deploy(scaledTo(this.require(name), replicas));
      if (replicas === 0) this.asleep.add(name);
      else this.asleep.delete(name);
      return Promise.resolve();
    });
  }

  invoke(call: FunctionCall): Promise<FunctionAnswer> {
    const { functionName: name } = call;
    if (this.asleep.delete(name)) this.options.host.deploy(this.require(name));
    return this.options.host.invoke(call);
  }

  /** Why it does not run, or not what was deployed last; undefined: it does. */
  failureOf(name: string): StartFailure | undefined {
    const { failure, ready = 0 } = this.options.host.report(name) ?? {};
    return failure ?? (ready === 0 ? this.troubles.get(name) : undefined);
  }

  /** Removes what no tag names, no deployment and no instance. Failures are logged: the next time does it. */
  collect(): Promise<void> {
    const { bundles, deployments, host, log } = this.options;
    this.collecting ??= this.inTurn(() => {
      this.collecting = undefined;
      return bundles.collect(
        new Set([...host.usedBundles(), ...deployments.list().map(bundleIdOf)]),
      );
    }).catch((error: unknown) => {
      log(`what is not deployed any more cannot be removed: ${(error as Error).message}`);
    });
    return this.collecting;
  }

  private look(broken: ReadonlyMap<string, AxleError>): void {
    for (const { name, bundleId } of this.options.deployments.list()) {
      const trouble = broken.get(bundleId);
      if (trouble === undefined) continue;
      const { code, message } = trouble;
      this.troubles.set(name, { code, message, at: new Date() });
      this.options.log(`the function ${name} cannot run: ${message}`);
    }
  }

  private async put(
    request: DeploymentRequest,
    before: Deployment | undefined,
  ): Promise<readonly string[]> {
    const { bundles, secrets, deployments, now = () => new Date() } = this.options;
    secrets.require(request.secrets);
    const bundle = await bundles.resolve(parseBundleReference(request.image));
    const notes = [...request.notes];
    const deployment = deploymentOf(
      request,
      bundle,
      {
        createdAt: before?.createdAt ?? now().toISOString(),
        generation: (before?.generation ?? 0) + 1,
      },
      notes,
    );
    await deployments.put(deployment);
    this.troubles.delete(deployment.name);
    this.take(deployment);
    // After this turn.
    void this.collect();
    return notes;
  }

  private take(deployment: Deployment): void {
    this.asleep.delete(deployment.name);
    this.options.host.deploy(deployment);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }
}

function bundleIdOf({ bundleId }: Deployment): string {
  return bundleId;
}
