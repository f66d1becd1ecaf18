import type { NamedTensor } from '../backend.js';
import type { Cancellation } from '../cancellation.js';
import type { InferOptions, KeepingInferOptions, NamedInputs } from '../client.js';
import type { CallOutcome } from '../dispatch.js';
import { checkKeep, type KeptTensors } from '../kept-tensors.js';
import type { Model } from '../models/model.js';
import { knownOptions, refuseUnknownOptions } from '../known-options.js';
import { namedTensors, type InputTaker } from '../named-inputs.js';
import { checkInto } from '../output-memory.js';
import { step, type Chain } from '../plans/chain.js';
import type { InferResult, KeptInferResult } from '../results.js';
import type { Session } from '../session.js';
import type { CallRequest, CallWork } from '../session-call.js';
import { setOwn } from '../set-own.js';
import type { AnyTensor } from '../tensor.js';

export const inferChain: Chain = {
  op: 'infer',
  main: 0,
  steps: [step('infer', { usesModel: true, args: {} })],
};

export class InferCall implements CallWork<InferResult | KeptInferResult> {
  private name = '';

  constructor(
    private readonly session: Session,
    private readonly reference: string | URL,
    private readonly inputs: NamedInputs,
    private readonly options: InferOptions | KeepingInferOptions,
    private readonly kept: KeptTensors,
  ) {}

  prepare(cancellation: Cancellation): CallRequest | Promise<CallRequest> {
    refuseUnknownOptions(this.options, knownOptions.infer);
    checkInto(this.options.into);
    checkKeep(this.options);
    const { session, reference } = this;
    // The common case costs no promise.
    const known = session.knownModel(reference);
    if (known !== undefined) return this.requestOf(known);
    return cancellation.race(session.model(reference)).then((model) => this.requestOf(model));
  }

  shape({ outputs, report }: CallOutcome): InferResult | KeptInferResult {
    const result: InferResult = {
      model: this.name,
      outputs: tensorsByName(outputs),
      device: report.device,
      steps: report.steps,
      timingMs: report.timingMs,
      fallbacks: report.fallbacks,
    };
    return this.options.keep === true ? this.kept.keepOutputs(result) : result;
  }

  private requestOf(model: Model): CallRequest {
    this.name = model.name;
    const inputs = namedTensors(this.inputs, takerOf(model));
    const { into, keep } = this.options;
    return { chain: inferChain, model, inputs, into, keeps: keep };
  }
}

function takerOf({ name, inputs, maxBatchSize }: Model): InputTaker {
  return { label: `model '${name}'`, inputs, maxBatchSize };
}

function tensorsByName(outputs: readonly NamedTensor[]): InferResult['outputs'] {
  const byName: Record<string, AnyTensor> = {};
  for (const { name, tensor } of outputs) setOwn(byName, name, tensor as AnyTensor);
  return byName;
}
