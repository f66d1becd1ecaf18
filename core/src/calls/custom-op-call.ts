import { argumentError } from '../argument-error.js';
import type { NamedInputs, RunOptions } from '../client.js';
import { customOpChain, namedOutputs, type CustomOp, type CustomOps } from '../custom-ops.js';
import type { CallOutcome } from '../dispatch.js';
import { knownOptions, refuseUnknownOptions } from '../known-options.js';
import { namedTensors } from '../named-inputs.js';
import { checkInto } from '../output-memory.js';
import type { RunResult } from '../results.js';
import type { Session } from '../session.js';
import type { CallRequest, CallWork } from '../session-call.js';

export class CustomOpCall implements CallWork<RunResult> {
  private op: CustomOp | undefined;

  constructor(
    private readonly customOps: CustomOps,
    private readonly session: Session,
    private readonly reference: string,
    private readonly inputs: NamedInputs,
    private readonly options: RunOptions,
  ) {}

  prepare(): CallRequest {
    checkRunOptions(this.options);
    const { runtime, limits } = this.session;
    const op = this.customOps.find(runtime.registry, this.reference);
    this.op = op;
    const { args, into } = this.options;
    const plain = args === undefined && !op.needsArgs;
    const chain = plain ? op.chain : customOpChain(op, args ?? {}, limits.argBytesMax);
    return { chain, model: undefined, inputs: namedTensors(this.inputs, op), into };
  }

  shape({ outputs, report }: CallOutcome): RunResult {
    const op = this.op as CustomOp;
    return {
      op: op.name,
      outputs: namedOutputs(op, outputs, report.device),
      device: report.device,
      steps: report.steps,
      timingMs: report.timingMs,
      fallbacks: report.fallbacks,
    };
  }
}

/** @throws AxleError INVALID_ARGUMENT of an option that there is not, or is of another kind. */
export function checkRunOptions(options: RunOptions): void {
  refuseUnknownOptions(options, knownOptions.run);
  if (options.args !== undefined) checkArgs(options.args);
  checkInto(options.into);
}

function checkArgs(args: unknown): void {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return;
  throw argumentError('args', args, 'an object of arguments by name, or nothing');
}
