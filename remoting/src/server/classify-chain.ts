import { AxleError, classifyChain, type Chain, type Model, type OpArgs } from '@axle/core/internal';

/**
 * The whole of classify as this side plans it: with what the model's config says where the client says nothing.
 *
 * @throws AxleError FAILED_PRECONDITION for a model that takes no images; INVALID_ARGUMENT for arguments that it does
 * not have.
 */
export function classifyWith(model: Model | undefined, args: OpArgs, topKMax: number): Chain {
  if (model === undefined) {
    throw new AxleError('INVALID_ARGUMENT', 'classify runs a model; bind it with one');
  }
  const { k = 1 } = args;
  if (typeof k !== 'number' || !Number.isInteger(k) || k < 1 || k > topKMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `k, the number of labels, is ${typeof k === 'number' ? k : 'no number'}; give a whole number from 1 to ${topKMax}`,
    );
  }
  const chain = classifyChain(model, k);
  const known = new Set(chain.steps.flatMap((step) => Object.keys(step.args)));
  const unknown = Object.keys(args).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new AxleError('INVALID_ARGUMENT', `classify has no argument '${unknown}'`);
  }
  const steps = chain.steps.map((step) => ({ ...step, args: overridden(step.args, args) }));
  return { ...chain, steps };
}

function overridden(own: OpArgs, given: OpArgs): OpArgs {
  return Object.fromEntries(
    Object.entries(own).map(([name, value]) => [name, given[name] ?? value]),
  );
}
