import {
  AxleError,
  hasFlag,
  type CallOptions,
  type Chain,
  type Model,
  type OpRange,
  type Registry,
} from '@axle/core/internal';

import { readArgs } from '../arguments.js';
import { DEVICE_NONE } from '../generated/wire.js';
import { opNameOf } from '../op-names.js';
import type { BindFrame } from '../wire/frames.js';
import type { Front } from './front.js';
import type { Future } from './future.js';
import { Held } from './held.js';
import { Turns } from './turns.js';

/** What a BIND said once for many calls. They may name it before its model is there. */
export class Binding extends Held {
  readonly chain: Chain;
  readonly range: OpRange;
  /** Positional where there is none. */
  readonly inputNames: readonly string[];
  /** Results carry the names of outputs. */
  readonly names: boolean;
  /** Results tell of their making. */
  readonly steps: boolean;
  /** 0: the session's limit. */
  readonly outputBytesMax: number;
  /** Undefined: its calls run together. */
  readonly turns: Turns | undefined;
  private readonly device: string | undefined;
  private readonly strict: boolean;

  /** @param model undefined for an op that has none */
  constructor(
    frame: BindFrame,
    opName: string,
    readonly model: Future<Model> | undefined,
    registry: Registry,
  ) {
    super();
    const range: OpRange = {
      name: frame.opName,
      op: frame.op,
      version: frame.opVersion,
      first: frame.first,
      last: frame.last,
    };
    const step = {
      name: opName,
      range,
      usesModel: model !== undefined,
      args: readArgs(frame.args),
    };
    const offers = registry.candidates(range);
    const isStateful = offers.some(({ offered }) => hasFlag(offered.flags, 'STATEFUL'));
    this.turns = isStateful ? new Turns() : undefined;
    this.chain = { op: opName, main: 0, steps: [step] };
    this.inputNames = frame.inputNames;
    this.names = frame.names;
    this.steps = frame.steps;
    this.range = range;
    this.outputBytesMax = frame.outputBytesMax;
    this.device = frame.device === '' ? undefined : frame.device;
    this.strict = frame.strict && this.device !== undefined;
  }

  /** What a call of this binding asks for. */
  options(leftMs: number | undefined, priority: number): CallOptions {
    const { device, strict } = this;
    return {
      device,
      strict,
      priority,
      deadlineMs: leftMs === undefined ? undefined : Math.max(0, leftMs),
    };
  }
}

/** Answers BIND. */
export function bind(front: Front, frame: BindFrame): void {
  const { id } = frame;
  const opName = frame.opName === '' ? opNameOf(frame.op) : frame.opName;
  if (opName === undefined) {
    throw new AxleError('UNIMPLEMENTED', `there is no op ${frame.op} here`);
  }
  if (frame.model !== 0) {
    throw new AxleError('UNIMPLEMENTED', 'this server takes no models yet');
  }
  front.hold(id, new Binding(frame, opName, undefined, front.runtime.registry));
  front.answer({ type: 'BOUND', id, score: 1, opFlags: 0, device: DEVICE_NONE }, [], true);
}
