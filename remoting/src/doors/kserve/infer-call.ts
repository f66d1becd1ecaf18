import {
  asAxleError,
  AxleError,
  inferChain,
  namedTensors,
  type CallOutcome,
  type CallReport,
  type CallRequest,
  type CallWork,
  type Cancellation,
  type Model,
  type Tensor,
} from '@axle/core/internal';

import type { ServedModel, ServerModels } from '../../server/models/server-models.js';
import { charged } from '../charged.js';
import { tensorsMax } from '../door-limits.js';
import type { DoorClient } from '../door-clients.js';
import { classified } from './classification.js';
import { tensorOf } from './data-types.js';
import {
  noParameters,
  type AnswerOutput,
  type InferAnswer,
  type InferRequest,
  type Parameters,
  type RequestInput,
  type RequestedOutput,
} from './infer-request.js';
import { findModel, knownModel } from './model-reference.js';
import type { ModelStatistics } from './model-statistics.js';
import type { SharedRegions } from './shared-memory/shared-regions.js';
import { SharedTensors, sharesMemory } from './shared-memory/shared-tensors.js';
import { callParameters, countOf, type CallParameters } from './parameters.js';

/** What inferences of all doors share. */
export interface InferHost {
  readonly models: ServerModels;
  readonly statistics: ModelStatistics;
  /** @throws AxleError UNIMPLEMENTED where this client shares no memory */
  regionsOf(client: DoorClient): SharedRegions;
  /** Milliseconds, of any start. */
  readonly clock: () => number;
}

/** One inference that is under way, whichever door it came through. */
export class InferCall implements CallWork<InferAnswer> {
  /** Rejects with what the sender is told. */
  readonly answer: Promise<InferAnswer>;
  private readonly startedAt: number;
  private served: ServedModel | undefined;
  private parameters: CallParameters | undefined;
  private cancellation: Cancellation | undefined;
  private stopped: AxleError | undefined;
  private inputs: readonly RequestInput[];

  /** @param deadlineMs time from now; undefined: none */
  constructor(
    private readonly host: InferHost,
    private readonly client: DoorClient,
    private readonly request: InferRequest,
    private readonly deadlineMs: number | undefined,
  ) {
    this.startedAt = host.clock();
    this.inputs = request.inputs;
    client.request.calls(request.modelName, request.id);
    this.answer = this.run();
  }

  /** Nobody waits for the answer any more: what it has on a device is freed. */
  cancel(reason: AxleError): void {
    this.stopped = reason;
    this.cancellation?.cancel(reason);
  }

  get knownModel(): Model | undefined {
    return this.served?.model;
  }

  prepare(): CallRequest {
    const { model } = this.servedModel;
    const { inputs } = this;
    checkOutputs(this.request.outputs, model);
    return {
      chain: inferChain,
      model,
      inputs: namedTensors(tensorsOf(inputs, model), takerOf(model)),
    };
  }

  shape({ outputs, report }: CallOutcome): InferAnswer {
    const { request, servedModel } = this;
    const tensors = new Map(outputs.map(({ name, tensor }) => [name, tensor]));
    const answer: InferAnswer = {
      modelName: servedModel.name,
      modelVersion: servedModel.version,
      id: request.id,
      parameters: this.parameters?.marksFinal === true ? finalResponse : noParameters,
      outputs: askedOf(request.outputs, tensors, servedModel.model),
      report,
    };
    this.client.request.ran(report);
    this.succeeded(report);
    return answer;
  }

  private get servedModel(): ServedModel {
    return this.served as ServedModel;
  }

  private run(): Promise<InferAnswer> {
    const bytes = this.request.inputs.reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
    return charged(this.client, bytes, () => this.runCounted());
  }

  private async runCounted(): Promise<InferAnswer> {
    const { host, client, request } = this;
    checkCounts(request);
    const parameters = callParameters(request.parameters);
    this.parameters = parameters;
    if (!sharesMemory(request)) return this.runFound(parameters);
    const shared = new SharedTensors(host.regionsOf(client), client, request);
    const { usage } = client.tenant;
    try {
      usage.take('requestBytes', shared.bytes);
      try {
        this.inputs = await shared.read(request.inputs);
        const answer = await this.runFound(parameters);
        return { ...answer, outputs: await shared.write(answer.outputs) };
      } finally {
        usage.give('requestBytes', shared.bytes);
      }
    } finally {
      shared.release();
    }
  }

  private async runFound(parameters: CallParameters): Promise<InferAnswer> {
    const { host, client, request } = this;
    const { modelName, modelVersion } = request;
    // The common case waits for nothing.
    const known = knownModel(host.models, client, modelName, modelVersion);
    if (known !== undefined) return this.runWith(known, parameters);
    const { served, release } = await findModel(host.models, client, modelName, modelVersion);
    try {
      return await this.runWith(served, parameters);
    } finally {
      release();
    }
  }

  private async runWith(served: ServedModel, parameters: CallParameters): Promise<InferAnswer> {
    this.served = served;
    try {
      return await this.started(parameters);
    } catch (error) {
      const { host, client, startedAt } = this;
      host.statistics.failed(client.tenant.name, served, host.clock() - startedAt);
      throw asAxleError(error);
    }
  }

  private started({ priority, timeoutMs }: CallParameters): Promise<InferAnswer> {
    if (this.stopped !== undefined) throw this.stopped;
    const spentMs = this.host.clock() - this.startedAt;
    const within = Math.min(this.deadlineMs ?? Infinity, timeoutMs ?? Infinity);
    const deadlineMs = within === Infinity ? undefined : Math.max(0, within - spentMs);
    return new Promise((resolve, reject) => {
      this.cancellation = this.client.session.startPublished(
        'infer',
        undefined,
        { priority, ...this.request.placement, deadlineMs },
        this,
        resolve,
        reject,
      );
    });
  }

  private succeeded(report: CallReport): void {
    const { host, client, servedModel, request } = this;
    const { maxBatchSize } = servedModel.model;
    const items = maxBatchSize > 0 ? (request.inputs[0]?.shape[0] ?? 1) : 1;
    host.statistics.succeeded(client.tenant.name, servedModel, items, report);
  }
}

const nothing = new Uint8Array(0);
const finalResponse: Parameters = new Map([['triton_final_response', true]]);

function takerOf({ name, inputs, maxBatchSize }: Model) {
  return { label: `model '${name}'`, inputs, maxBatchSize };
}

function checkCounts({ inputs, outputs }: InferRequest): void {
  const most = Math.max(inputs.length, outputs.length);
  if (most <= tensorsMax) return;
  const message = `the request has ${most} inputs or outputs; ${tensorsMax} are the most`;
  throw new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

function tensorsOf(inputs: readonly RequestInput[], model: Model): Record<string, Tensor> {
  // Not to inherit anything: names are a stranger's.
  const tensors = Object.create(null) as Record<string, Tensor>;
  for (const { name, datatype, shape, data } of inputs) {
    if (name in tensors) {
      throw new AxleError('INVALID_ARGUMENT', `input '${name}' is there twice; give it once`);
    }
    const isEmpty = shape.includes(0);
    if (data === undefined && !isEmpty) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `input '${name}' for model '${model.name}' has no data; give its contents, in raw or in typed form`,
      );
    }
    tensors[name] = tensorOf(name, datatype, shape, data ?? nothing);
  }
  return tensors;
}

/** Before anything is computed. @throws AxleError INVALID_ARGUMENT */
function checkOutputs(asked: readonly RequestedOutput[], { name: model, outputs }: Model): void {
  const names = new Set<string>();
  for (const { name, parameters } of asked) {
    // Each would be written whole: a small request for a huge answer.
    if (names.has(name)) {
      throw new AxleError('INVALID_ARGUMENT', `output '${name}' is asked for twice; name it once`);
    }
    names.add(name);
    if (!outputs.some((output) => output.name === name)) {
      const known = outputs.map((output) => `'${output.name}'`).join(', ');
      throw new AxleError(
        'INVALID_ARGUMENT',
        `unexpected inference output '${name}' for model '${model}'; it has: ${known}`,
      );
    }
    countOf(parameters, 'classification');
  }
}

function askedOf(
  asked: readonly RequestedOutput[],
  tensors: ReadonlyMap<string, Tensor>,
  model: Model,
): AnswerOutput[] {
  if (asked.length === 0) {
    return [...tensors].map(([name, tensor]) => ({ name, tensor, asked: noParameters }));
  }
  return asked.map(({ name, parameters }) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) {
      throw new AxleError('INTERNAL', `model '${model.name}' gave no output '${name}'`);
    }
    const count = countOf(parameters, 'classification') ?? 0;
    const told = count === 0 ? tensor : classified(name, tensor, model, count);
    return { name, tensor: told, asked: parameters };
  });
}
