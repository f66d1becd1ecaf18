import type {
  CallOutcome,
  CallRequest,
  CallWork,
  Cancellation,
  NamedTensor,
  Tensor,
} from '@axle/core/internal';

import type { IncomingTensors } from '../tensors/incoming.js';
import { OutgoingTensors } from '../tensors/outgoing.js';
import type { ResultFrame } from '../wire/frames.js';
import { toWireUs } from '../wire/time.js';
import type { Binding } from './binding.js';

/** Who sends the answers. */
export interface CallOwner {
  /** Longest payload that the client takes. */
  readonly payloadMax: number;
  deviceIndexOf(deviceId: string): number;
  /** @param following whose bytes come after the frame */
  answer(call: ServerCall, result: ResultFrame, following: readonly Tensor[]): void;
}

/** A CALL that is under way: first its inputs come, then core has it. */
export class ServerCall implements CallWork<undefined> {
  /** Once core has it. */
  cancellation: Cancellation | undefined = undefined;

  constructor(
    readonly id: number,
    readonly binding: Binding,
    /** On the runtime's clock. */
    readonly deadlineAt: number | undefined,
    readonly priority: number,
    /** Of inputs that come behind the frame, until they are there. */
    public bytesDue: number,
    readonly incoming: IncomingTensors,
    private readonly owner: CallOwner,
  ) {}

  prepare(): CallRequest {
    const { chain, model, outputBytesMax } = this.binding;
    const request = { chain, model, inputs: this.incoming.read() };
    return outputBytesMax === 0 ? request : { ...request, outputBytesMax };
  }

  shape({ outputs, report }: CallOutcome): undefined {
    const { queue, transfer, compute, total } = report.timingMs;
    const { records, following } = this.outgoing(outputs);
    const result: ResultFrame = {
      type: 'RESULT',
      id: this.id,
      queueUs: toWireUs(queue),
      transferUs: toWireUs(transfer),
      computeUs: toWireUs(compute),
      totalUs: toWireUs(total),
      batchSize: Math.min(report.steps[0]?.batchSize ?? 1, 65535),
      device: this.owner.deviceIndexOf(report.device),
      outputs: records,
      steps: [],
      fallbacks: [],
    };
    this.owner.answer(this, result, following);
    return undefined;
  }

  private outgoing(outputs: readonly NamedTensor[]): OutgoingTensors {
    return new OutgoingTensors(outputs, this.binding.names, this.owner.payloadMax);
  }
}
