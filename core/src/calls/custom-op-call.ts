import { argumentError } from '../argument-error.js';
import type { KeepingRunOptions, NamedInputs, RunOptions } from '../client.js';
import { customOpChain, namedOutputs, type CustomOp, type CustomOps } from '../custom-ops.js';
import type { CallOutcome } from '../dispatch.js';
import { checkKeep, type KeptTensors } from '../kept-tensors.js';
import { knownOptions, refuseUnknownOptions } from '../known-options.js';
import { namedTensors } from '../named-inputs.js';
import { checkInto } from '../output-memory.js';
import type { KeptRunResult, RunResult } from '../results.js';
import type { Session } from '../session.js';
import type { CallRequest, CallWork } from '../session-call.js';

export class CustomOpCall implements CallWork<RunResult | KeptRunResult> {
  private op: CustomOp | undefined;

  constructor(
    private readonly customOps: CustomOps,
    private readonly session: Session,
    private readonly reference: string,
    private readonly inputs: NamedInputs,
    private readonly options: RunOptions | KeepingRunOptions,
    private readonly kept: KeptTensors,
  ) {}

  prepare(): CallRequest {
    checkRunOptions(this.options);
    const { runtime, limits } = this.session;
    const op = this.customOps.find(runtime.registry, this.reference);
    this.op = op;
    const { args, into, keep } = this.options;
    const plain = args === undefined && !op.needsArgs;
    const chain = plain ? op.chain : customOpChain(op, args ?? {}, limits.argBytesMax);
    const inputs = namedTensors(this.inputs, op);
    return { chain, model: undefined, inputs, into, keeps: keep };
  }

  shape({ outputs, report }: CallOutcome): RunResult | KeptRunResult {
    const op = this.op as CustomOp;
    const result: RunResult = {
      op: op.name,
      outputs: namedOutputs(op, outputs, report.device),
      device: report.device,
      steps: report.steps,
      timingMs: report.timingMs,
      fallbacks: report.fallbacks,
    };
    return this.options.keep === true ? this.kept.keepOutputs(result) : result;
  }
}

/** @throws AxleError INVALID_ARGUMENT of an option that there is not, or is of another kind. */
export function checkRunOptions(options: RunOptions | KeepingRunOptions): void {
  refuseUnknownOptions(options, knownOptions.run);
  if (options.args !== undefined) checkArgs(options.args);
  checkInto(options.into);
  checkKeep(options);
}

function checkArgs(args: unknown): void {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return;
  throw argumentError('args', args, 'an object of arguments by name, or nothing');
}
