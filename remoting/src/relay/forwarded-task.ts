import { performance } from 'node:perf_hooks';

import type {
  BackendTask,
  CallAsCame,
  NamedTensor,
  OpArgs,
  OpRange,
  Preference,
  TaskOutcome,
} from '@axle/core/internal';

import { IncomingTensors, inputBytes } from '../tensors/incoming.js';
import type { CallFrame, InputTensor } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';

/** What the calls of a lane have in common. */
export interface ForwardedKind {
  readonly range: OpRange;
  readonly args: OpArgs;
  readonly outputBytesMax: number;
  readonly tenant: string;
  readonly preference: Preference;
  /** Of the inputs, one for each. */
  readonly inputNames: readonly string[];
  settled(task: ForwardedTask, outcome: TaskOutcome): void;
}

/**
 * A CALL on its way through a relay. Its bytes go on as they came; its inputs are read only by what sends it another way,
 * as after a loss.
 */
export class ForwardedTask implements BackendTask, CallAsCame {
  backendData: unknown = undefined;
  readonly memory: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly handle: number;
  readonly inputBytes: number;
  readonly beganAt = performance.now();
  /** Nobody waits for it any more. */
  isForgotten = false;
  private readonly records: readonly InputTensor[];

  constructor(
    private readonly kind: ForwardedKind,
    { memory, start, end, id }: RawFrame,
    { inputs }: CallFrame,
  ) {
    this.memory = memory;
    this.start = start;
    this.end = end;
    this.handle = id;
    this.records = inputs;
    this.inputBytes = inputBytes(inputs);
  }

  get asCame(): CallAsCame {
    return this;
  }

  get inputNames(): readonly string[] {
    return this.kind.inputNames;
  }

  get range(): OpRange {
    return this.kind.range;
  }

  get args(): OpArgs {
    return this.kind.args;
  }

  get model(): undefined {
    return undefined;
  }

  get inputs(): readonly NamedTensor[] {
    const incoming = new IncomingTensors(false);
    for (const [i, record] of this.records.entries()) {
      if (record.source === 'INLINE') incoming.add(record, this.kind.inputNames[i] ?? '');
    }
    return incoming.read();
  }

  get outputBytesMax(): number {
    return this.kind.outputBytesMax;
  }

  get deadlineAt(): undefined {
    return undefined;
  }

  get priority(): number {
    return 0;
  }

  get tenant(): string {
    return this.kind.tenant;
  }

  get preference(): Preference {
    return this.kind.preference;
  }

  settle(outcome: TaskOutcome): void {
    this.kind.settled(this, outcome);
  }
}
