import { AxleError } from 'axle';

import { parseBundleReference } from '../bundles/bundle-reference.js';
import type { BundleStore } from '../bundles/bundle-store.js';
import type { Calls, FunctionAnswer, FunctionCall } from '../calls/function-call.js';
import { ofFunction } from '../calls/function-failure.js';
import type { FunctionCalls } from '../calls/function-calls.js';
import type { StartFailure } from '../calls/served-function.js';
import type { SecretStore } from '../secrets/secret-store.js';
import type { Deployment } from './deployment.js';
import { deploymentOf, type DeploymentRequest } from './deployment-request.js';
import type { DeploymentStore } from './deployment-store.js';
import { scaledToNone } from './scale-to.js';

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
/** Of functions that use a secret, in a message. */
const usersShownMax = 10;

/** What doors do to functions: each change is on disk, then with the host, and then answered; one after another. */
export class Functions implements Calls {
  private last: Promise<unknown> = Promise.resolve();
  /** Functions that cannot run since what they run is not whole, as it was when this was opened. */
  private readonly troubles = new Map<string, StartFailure>();
  private collecting: Promise<void> | undefined;
  /** Scaled to none, until the next call. */
  private readonly asleep = new Set<string>();
  private readonly openedAt = new Date();

  private constructor(private readonly options: FunctionsOptions) {}

  /** Takes over what was deployed before, and removes bundles that nothing names any more. */
  static async open(options: FunctionsOptions): Promise<Functions> {
    const functions = new Functions(options);
    const { deployments, bundles, host, log } = options;
    for (const [name, { message }] of deployments.broken) log(`${name} cannot run: ${message}`);
    functions.look(await bundles.troubles(new Set(deployments.list().map(bundleIdOf))));
    for (const deployment of deployments.list()) functions.take(deployment);
    await functions.collect();
    host.whenBundleIsLeft(() => void functions.collect());
    return functions;
  }

  get(name: string): Deployment | undefined {
    return this.options.deployments.get(name);
  }

  /** @throws AxleError NOT_FOUND; DATA_LOSS as a failure of the function where what is stored of it cannot be read */
  require(name: string): Deployment {
    const deployment = this.get(name);
    if (deployment !== undefined) return deployment;
    if (this.isBroken(name)) throw unreadable(name);
    throw AxleError.expected(
      'NOT_FOUND',
      `there is no function ${JSON.stringify(name.slice(0, 100))}; deploy it first`,
    );
  }

  list(): Deployment[] {
    return this.options.deployments.list();
  }

  /** Functions of which nothing more is known than their names, and why. */
  listBroken(): { readonly name: string; readonly failure: StartFailure }[] {
    return [...this.options.deployments.broken].map(([name, { code, message }]) => ({
      name,
      failure: { code, message, at: this.openedAt },
    }));
  }

  isBroken(name: string): boolean {
    return this.options.deployments.broken.has(name);
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
    return this.inTurn(() => {
      const { name } = request;
      return this.put(request, this.isBroken(name) ? undefined : this.require(name));
    });
  }

  /** Settles when it is not deployed any more; its instances end on their own. @throws AxleError NOT_FOUND */
  remove(name: string): Promise<void> {
    return this.inTurn(async () => {
      if (!this.isBroken(name)) this.require(name);
      await this.options.deployments.remove(name);
      this.asleep.delete(name);
      this.troubles.delete(name);
      void this.options.host.remove(name, removalGraceMs).then(() => this.collect());
    });
  }

  /**
   * As many instances now, within its least and most, until load decides again; of none, until the next call.
   *
   * @returns how many.
   * @throws AxleError NOT_FOUND
   */
  scale(name: string, replicas: number): Promise<number> {
    return this.inTurn(() => {
      const { host } = this.options;
      const deployment = this.require(name);
      host.deploy(replicas === 0 ? scaledToNone(deployment) : deployment);
      if (replicas === 0) this.asleep.add(name);
      else this.asleep.delete(name);
      return Promise.resolve(host.ask(name, replicas));
    });
  }

  /** Functions that name it get it with their next instances; those that could not start without it do at once. @throws as `SecretStore.create` */
  createSecret(name: string, value: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      await this.options.secrets.create(name, value);
      this.retryUsersOf(name);
    });
  }

  /** As `createSecret`. @throws as `SecretStore.update` */
  updateSecret(name: string, value: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      await this.options.secrets.update(name, value);
      this.retryUsersOf(name);
    });
  }

  /** @throws AxleError ABORTED naming functions that use it; NOT_FOUND */
  removeSecret(name: string): Promise<void> {
    return this.inTurn(async () => {
      const users = this.usersOf(name);
      if (users.length > 0) {
        const shown = users.slice(0, usersShownMax).join(', ');
        const more =
          users.length > usersShownMax ? ` and ${users.length - usersShownMax} more` : '';
        throw new AxleError(
          'ABORTED',
          `the secret ${name} is used by ${shown}${more}; deploy without it, or remove them, first`,
          { retryable: false },
        );
      }
      await this.options.secrets.remove(name);
    });
  }

  invoke(call: FunctionCall): Promise<FunctionAnswer> {
    const { functionName: name } = call;
    if (this.isBroken(name)) return Promise.reject(unreadable(name));
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
      // What they name is not known: it stays.
      if (deployments.broken.size > 0) return Promise.resolve();
      return bundles.collect(
        new Set([...host.usedBundles(), ...deployments.list().map(bundleIdOf)]),
      );
    }).catch((error: unknown) => {
      log(`what is not deployed any more cannot be removed: ${(error as Error).message}`);
    });
    return this.collecting;
  }

  private usersOf(secret: string): string[] {
    return this.list()
      .filter(({ secrets }) => secrets.includes(secret))
      .map(({ name }) => name);
  }

  private retryUsersOf(secret: string): void {
    for (const name of this.usersOf(secret)) {
      // One that runs has what it was started with.
      if (this.options.host.report(name)?.failure !== undefined) this.options.host.retry(name);
    }
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

/** Callers are anyone: what is in the file is not for them. */
function unreadable(name: string): AxleError {
  const message = `what was deployed as ${name} cannot be read any more; deploy it again`;
  return ofFunction(new AxleError('DATA_LOSS', message), 'broken');
}
