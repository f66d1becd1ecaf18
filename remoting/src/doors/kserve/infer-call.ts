import {
  asAxleError,
  AxleError,
  checkNamed,
  inferChain,
  type CallOptions,
  type CallOutcome,
  type CallReport,
  type CallRequest,
  type CallWork,
  type Cancellation,
  type Model,
  type NamedTensor,
} from '@axle/core/internal';

import type { ServedModel, ServerModels } from '../../server/models/server-models.js';
import { charge, charged } from '../charged.js';
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
    const { outputs } = this.request;
    if (outputs.length > 0) checkOutputs(outputs, model);
    const inputs = tensorsOf(this.inputs, model);
    checkNamed(inputs, takerOf(model));
    return { chain: inferChain, model, inputs };
  }

  shape({ outputs, report }: CallOutcome): InferAnswer {
    const { request, servedModel } = this;
    const answer: InferAnswer = {
      modelName: servedModel.name,
      modelVersion: servedModel.version,
      id: request.id,
      parameters: this.parameters?.marksFinal === true ? finalResponse : noParameters,
      outputs: askedOf(request.outputs, outputs, servedModel.model),
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
    const { host, client, request } = this;
    let bytes = 0;
    for (const { data } of request.inputs) bytes += data?.byteLength ?? 0;
    if (!sharesMemory(request)) {
      const { modelName, modelVersion } = request;
      const known = knownModel(host.models, client, modelName, modelVersion);
      if (known !== undefined) return this.runKnown(known, bytes);
    }
    return charged(client, bytes, () => this.runCounted());
  }

  /** The common case: it waits for nothing but the device, and costs one promise. */
  private runKnown(served: ServedModel, bytes: number): Promise<InferAnswer> {
    return new Promise((resolve, reject) => {
      const giveBack = charge(this.client, bytes);
      const failed = (reason: AxleError) => {
        giveBack();
        reject(reason);
      };
      let parameters: CallParameters;
      try {
        parameters = this.checked();
      } catch (error) {
        failed(asAxleError(error));
        return;
      }
      const succeeded = (answer: InferAnswer) => {
        giveBack();
        resolve(answer);
      };
      this.start(served, parameters, succeeded, failed);
    });
  }

  private async runCounted(): Promise<InferAnswer> {
    const { host, client, request } = this;
    const parameters = this.checked();
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

  /** What it asks of its call. @throws AxleError RESOURCE_EXHAUSTED; as `callParameters` */
  private checked(): CallParameters {
    checkCounts(this.request);
    return (this.parameters = callParameters(this.request.parameters));
  }

  private async runFound(parameters: CallParameters): Promise<InferAnswer> {
    const { host, client, request } = this;
    const { modelName, modelVersion } = request;
    const { served, release } = await findModel(host.models, client, modelName, modelVersion);
    try {
      return await new Promise((resolve, reject) => {
        this.start(served, parameters, resolve, reject);
      });
    } finally {
      release();
    }
  }

  /** @param reject gets an AxleError */
  private start(
    served: ServedModel,
    parameters: CallParameters,
    resolve: (answer: InferAnswer) => void,
    reject: (reason: AxleError) => void,
  ): void {
    this.served = served;
    const { host, client, startedAt } = this;
    const failed = (reason: unknown) => {
      host.statistics.failed(client.tenant.name, served, host.clock() - startedAt);
      reject(asAxleError(reason));
    };
    try {
      if (this.stopped !== undefined) throw this.stopped;
      const options = this.optionsOf(parameters);
      const { session } = client;
      this.cancellation = session.startPublished(
        'infer',
        undefined,
        options,
        this,
        resolve,
        failed,
      );
    } catch (error) {
      failed(error);
    }
  }

  private optionsOf({ priority, timeoutMs }: CallParameters): CallOptions {
    const { placement } = this.request;
    const within = Math.min(this.deadlineMs ?? Infinity, timeoutMs ?? Infinity);
    const spentMs = within === Infinity ? 0 : this.host.clock() - this.startedAt;
    const deadlineMs = within === Infinity ? undefined : Math.max(0, within - spentMs);
    return placement === undefined
      ? { priority, deadlineMs }
      : { priority, ...placement, deadlineMs };
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

function tensorsOf(inputs: readonly RequestInput[], model: Model): NamedTensor[] {
  const names = inputs.length > 1 ? new Set<string>() : undefined;
  return inputs.map(({ name, datatype, shape, data }) => {
    if (names?.has(name) === true) {
      throw new AxleError('INVALID_ARGUMENT', `input '${name}' is there twice; give it once`);
    }
    names?.add(name);
    if (data === undefined && !shape.includes(0)) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `input '${name}' for model '${model.name}' has no data; give its contents, in raw or in typed form`,
      );
    }
    return { name, tensor: tensorOf(name, datatype, shape, data ?? nothing) };
  });
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
  outputs: readonly NamedTensor[],
  model: Model,
): AnswerOutput[] {
  if (asked.length === 0) {
    return outputs.map(({ name, tensor }) => ({ name, tensor, asked: noParameters }));
  }
  const tensors = new Map(outputs.map(({ name, tensor }) => [name, tensor]));
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
