import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  bundleFileContent,
  BundleStore,
  FunctionCalls,
  parseBundleReference,
  ProcessInstanceProvider,
  readBundleFiles,
  type Bundle,
  type Deployment,
  type FunctionAnswer,
  type FunctionCall,
  type FunctionCallsOptions,
  type LogLine,
  type PoolAccess,
  type ProcessInstanceProviderOptions,
  type ScalingPolicy,
} from '@axle/faas';
import { shippedModels } from 'axle';

/** What a test says of a function. */
export interface TestFunction {
  readonly manifest?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly deployment?: Partial<Deployment>;
  readonly scaling?: Partial<ScalingPolicy>;
}

type FrontEndParts = Partial<FunctionCallsOptions> & { readonly pool?: () => PoolAccess };

const scalingDefault: ScalingPolicy = {
  min: 0,
  max: 1,
  by: 'concurrency',
  target: 1000,
  toZero: true,
  idleMs: 60_000,
  inFlightMax: 2000,
  queueMax: 1000,
};

/** Functions that are pushed, deployed and run as a front end does it. */
export class RunningFunctions implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  readonly calls: FunctionCalls;
  readonly secrets = new Map<string, Uint8Array>();
  private readonly bundles = new Map<string, Bundle>();
  private readonly deployments = new Map<string, Deployment>();
  private generation = 0;
  private callNumber = 0;
  private onLine: (() => void)[] = [];

  private constructor(
    private readonly place: string,
    private readonly store: BundleStore,
    provider: ProcessInstanceProviderOptions,
    { pool, ...options }: FrontEndParts,
  ) {
    this.calls = new FunctionCalls({
      provider: options.provider ?? new ProcessInstanceProvider(provider),
      prepare: async ({ bundleId }) => ({
        bundle: await store.load(bundleId),
        secrets: this.secrets,
        pool: pool?.(),
      }),
      log: (_name, line) => {
        this.lines.push(line);
        for (const wake of this.onLine.splice(0)) wake();
      },
      ...options,
    });
  }

  static async open(
    provider: ProcessInstanceProviderOptions = {},
    options: FrontEndParts = {},
  ): Promise<RunningFunctions> {
    const place = await mkdtemp(join(tmpdir(), 'axle-faas-'));
    const store = await BundleStore.open(join(place, 'store'));
    return new RunningFunctions(place, store, provider, options);
  }

  /** Deploys a function whose handler is the text of a module, or what `files` and `manifest` say. */
  async deploy(
    name: string,
    handler: string,
    { manifest = {}, files = {}, deployment = {}, scaling = {} }: TestFunction = {},
  ): Promise<Deployment> {
    this.generation += 1;
    const folder = join(this.place, `${name}-${this.generation}`);
    const own = manifest['command'] === undefined ? { handler: 'handler.mjs' } : {};
    const all: Record<string, string> = {
      'axle-function.json': JSON.stringify({ name, ...own, ...manifest }),
      'handler.mjs': handler,
      ...files,
    };
    for (const [path, text] of Object.entries(all)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text, { mode: 0o755 });
    }
    const listed = await readBundleFiles(folder);
    const missing = new Set(await this.store.missing(listed));
    for (const file of listed) {
      const { sha256 } = file;
      if (!missing.delete(sha256)) continue;
      await this.store.putBlob(sha256, (await bundleFileContent(folder, file)).stream());
    }
    const reference = parseBundleReference(`${name}:${this.generation}`);
    const bundleId = await this.store.tag(reference, listed);
    const bundle = await this.store.load(bundleId);
    const { memoryMiB, timeoutMs, concurrency } = bundle.manifest;
    const deployed: Deployment = {
      name,
      image: `${name}:${this.generation}`,
      bundleId,
      environment: {},
      secrets: [],
      labels: {},
      annotations: {},
      memoryMiB,
      timeoutMs,
      concurrency,
      scaling: { ...scalingDefault, ...scaling },
      createdAt: new Date(0).toISOString(),
      generation: this.generation,
      ...deployment,
    };
    this.bundles.set(name, bundle);
    this.deployments.set(name, deployed);
    this.calls.deploy(deployed);
    return deployed;
  }

  /** One of the pictures that come with Axle. */
  sample(name: string): Promise<Buffer> {
    return readFile(join(shippedModels, 'samples', name));
  }

  /** As it was deployed last. */
  bundleOf(name: string): Bundle {
    return this.bundles.get(name) as Bundle;
  }

  deployed(name: string): Deployment {
    return this.deployments.get(name) as Deployment;
  }

  call(functionName: string, more: Partial<FunctionCall> = {}): Promise<FunctionAnswer> {
    this.callNumber += 1;
    return this.calls.invoke({
      id: `call-${this.callNumber}`,
      functionName,
      method: 'POST',
      path: '/',
      query: '',
      headers: {},
      body: new Uint8Array(0),
      signal: new AbortController().signal,
      ...more,
    });
  }

  /** The text of the answer's body. */
  async text(functionName: string, body: string | FunctionCall['body'] = ''): Promise<string> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    return textOf(await this.call(functionName, { body: bytes }));
  }

  /** Settles with the first line that is like this, printed before or not yet. */
  async line(like: RegExp): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(({ text }) => like.test(text));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.onLine.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.calls.close();
    await rm(this.place, { recursive: true });
  }
}

export async function bytesOf({ body }: FunctionAnswer): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

export async function textOf(answer: FunctionAnswer): Promise<string> {
  return (await bytesOf(answer)).toString();
}

export function isRunning(pid: number): boolean {
  // One that ended and that nobody has waited for yet is a zombie.
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}
