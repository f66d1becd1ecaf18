import type { CallOptions, Chain, Model, OpRange } from '@axle/core/internal';

import { readArgs } from '../arguments.js';
import type { BindFrame } from '../wire/frames.js';

/** What a BIND said once for many calls. */
export interface Binding {
  readonly chain: Chain;
  readonly model: Model | undefined;
  /** Positional where there is none. */
  readonly inputNames: readonly string[];
  /** Results carry the names of outputs. */
  readonly names: boolean;
  /** 0: the session's limit. */
  readonly outputBytesMax: number;
  readonly device: string | undefined;
  readonly strict: boolean;
}

export function bindingOf(frame: BindFrame, opName: string, model: Model | undefined): Binding {
  const range: OpRange = {
    name: frame.opName,
    op: frame.op,
    version: frame.opVersion,
    first: frame.first,
    last: frame.last,
  };
  const step = { name: opName, range, usesModel: model !== undefined, args: readArgs(frame.args) };
  const device = frame.device === '' ? undefined : frame.device;
  return {
    chain: { op: opName, main: 0, steps: [step] },
    model,
    inputNames: frame.inputNames,
    names: frame.names,
    outputBytesMax: frame.outputBytesMax,
    device,
    strict: frame.strict && device !== undefined,
  };
}

/** What a call of this binding asks for. */
export function optionsOf(
  { device, strict }: Binding,
  leftMs: number | undefined,
  priority: number,
): CallOptions {
  return {
    device,
    strict,
    priority,
    deadlineMs: leftMs === undefined ? undefined : Math.max(0, leftMs),
  };
}
