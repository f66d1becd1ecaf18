import {
  AxleError,
  checkWanted,
  hasFlag,
  OPS,
  type CallOptions,
  type Chain,
  type Model,
  type OpRange,
  type Preference,
  type Registry,
} from '@axle/core/internal';

import { readArgs } from '../arguments.js';
import { DEVICE_NONE } from '../generated/wire.js';
import { opNameOf } from '../op-names.js';
import type { BindFrame } from '../wire/frames.js';
import { classifyWith } from './classify-chain.js';
import type { BindingLane } from './call-lanes.js';
import type { Front } from './front.js';
import type { Future } from './future.js';
import { Held } from './held.js';
import { HeldModel } from './models/held-model.js';
import { Turns } from './turns.js';

/** What a BIND said once for many calls. They may name it before its model is there. */
export class Binding extends Held {
  readonly range: OpRange;
  /** Undefined: it takes the model to say what the steps are. */
  private chain: Chain | undefined;
  /** Positional where there is none. */
  readonly inputNames: readonly string[];
  /** Results carry the names of outputs. */
  readonly names: boolean;
  /** Results carry the labels of what they found. */
  readonly labels: boolean;
  /** Results tell of their making. */
  readonly steps: boolean;
  /** 0: the session's limit. */
  readonly outputBytesMax: number;
  /** Its op is PURE or IDEMPOTENT: a call may run a second time. */
  readonly isRepeatable: boolean;
  /** Undefined: its calls run together. */
  readonly turns: Turns | undefined;
  /** Of calls that go past the connection; undefined: none was counted. */
  lane: BindingLane | undefined = undefined;
  private readonly device: string | undefined;
  private readonly strict: boolean;

  /** @param model undefined for an op that has none */
  constructor(
    private readonly frame: BindFrame,
    readonly opName: string,
    readonly model: Future<Model> | undefined,
    registry: Registry,
    opFlags: number,
  ) {
    super();
    this.isRepeatable = hasFlag(opFlags, 'PURE') || hasFlag(opFlags, 'IDEMPOTENT');
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
    const isWhole = frame.op === OPS.classify.id && frame.first === 0 && frame.last === lastStep;
    this.chain = isWhole ? undefined : { op: opName, main: 0, steps: [step] };
    this.inputNames = frame.inputNames;
    this.names = frame.names;
    this.labels = frame.labels;
    this.steps = frame.steps;
    this.range = range;
    this.outputBytesMax = frame.outputBytesMax;
    this.device = frame.device === '' ? undefined : frame.device;
    this.strict = frame.strict && this.device !== undefined;
  }

  /**
   * What calls run, once their model is there.
   *
   * @throws AxleError FAILED_PRECONDITION for a model that takes no images; INVALID_ARGUMENT for arguments that the op
   * does not have.
   */
  chainWith(model: Model | undefined, topKMax: number): Chain {
    this.chain ??= classifyWith(model, readArgs(this.frame.args), topKMax);
    return this.chain;
  }

  override close(): void {
    this.lane?.release();
  }

  /** Whether its calls need nothing but a device: no model, no turn, nothing that results tell beside outputs. */
  get isPlain(): boolean {
    const { isRepeatable, turns, model, labels, steps } = this;
    return isRepeatable && turns === undefined && model === undefined && !labels && !steps;
  }

  get preference(): Preference {
    const { device, strict } = this;
    return { device, strict };
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

/** Of classify: whoever asks for all of its steps leaves it to this side which devices run which of them. */
const lastStep = (OPS.classify.chain?.length ?? 1) - 1;

/** Answers BIND. */
export function bind(front: Front, frame: BindFrame): void {
  const { id } = frame;
  const opName = frame.opName === '' ? opNameOf(frame.op) : frame.opName;
  if (opName === undefined) {
    throw new AxleError('UNIMPLEMENTED', `there is no op ${frame.op} here`);
  }
  const { registry } = front.runtime;
  const { strict, device } = frame;
  // The same words, and the same code, as for a call of this process.
  if (strict && device !== '') checkWanted(registry, { strict, device });
  const opFlags = opFlagsOf(registry, frame);
  const model = modelOf(front, frame.model);
  front.hold(id, new Binding(frame, opName, model, registry, opFlags));
  front.answer({ type: 'BOUND', id, score: 1, opFlags, device: DEVICE_NONE }, [], true);
}

/** Those of the registry; of a custom op those that all who offer it agree on, since any of them may run it. */
function opFlagsOf(registry: Registry, frame: BindFrame): number {
  const known = opNameOf(frame.op);
  if (known !== undefined) return OPS[known].flags;
  const { opName: name, op, opVersion: version, first, last } = frame;
  const candidates = registry.candidates({ name, op, version, first, last });
  const [flags = 0, ...others] = candidates.map(({ offered }) => offered.flags);
  return others.reduce((all, other) => all & other, flags);
}

function modelOf(front: Front, id: number): Future<Model> | undefined {
  if (id === 0) return undefined;
  const named = front.named(id);
  if (named instanceof HeldModel) return named.model;
  throw front.notThere(id, 'model');
}
