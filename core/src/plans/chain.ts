import type { NamedTensor } from '../backend.js';
import type { OpName } from '../generated/constants.js';
import { fusedRange, singleOp, type OpArgs, type OpRange } from '../op.js';

/** A semantic op as a line of steps. An op that is no chain is a line of one. */
export interface Chain {
  /** The semantic op's name where there are several steps; a custom op's with one. */
  readonly op: string;
  readonly steps: readonly ChainStep[];
  /** The step whose device counts as the call's device, and that a preference is about. */
  readonly main: number;
}

export interface ChainStep {
  readonly name: string;
  readonly range: OpRange;
  readonly usesModel: boolean;
  readonly args: OpArgs;
  /** Makes the step's inputs of the outputs of the step before it. The first step takes the call's inputs. */
  readonly adapt?: (outputs: readonly NamedTensor[]) => readonly NamedTensor[];
}

/** A step that is an op of its own. */
export function step(name: OpName, fields: Omit<ChainStep, 'name' | 'range'>): ChainStep {
  return { name, range: singleOp(name), ...fields };
}

/** What a device is asked for when it runs the steps `first`..`last` in one task. */
export function rangeOf(chain: Chain, first: number, last: number): OpRange {
  if (first !== last) return fusedRange(chain.op as OpName, first, last);
  return (chain.steps[first] as ChainStep).range;
}

export function stepLabel(chain: Chain, first: number, last: number): string {
  const from = chain.steps[first]?.name ?? '';
  return first === last ? from : `${from}..${chain.steps[last]?.name ?? ''}`;
}

/** A fused range takes the arguments of all its steps. */
export function argsOf(chain: Chain, first: number, last: number): OpArgs {
  if (first === last) return (chain.steps[first] as ChainStep).args;
  return Object.assign(
    {},
    ...chain.steps.slice(first, last + 1).map((step) => step.args),
  ) as OpArgs;
}

export function usesModel(chain: Chain, first: number, last: number): boolean {
  return chain.steps.slice(first, last + 1).some((step) => step.usesModel);
}

/** Whether a segment that begins with this step takes one image, encoded or as [height, width, channels], and no batch. */
export function takesImage(chain: Chain, first: number): boolean {
  const name = chain.steps[first]?.name;
  return name === 'decode' || name === 'preprocess' || name === 'classify';
}
