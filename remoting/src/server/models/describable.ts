import type { Model, TensorSpec } from '@axle/core/internal';

import { wireLimits } from '../../generated/wire.js';
import { unsayable } from '../../wire/names.js';

/** Of a name that is no good, so much is shown. */
const shownCharactersMax = 64;

/** Why frames cannot carry the names and shapes of all that a model takes and gives. Undefined: they can. */
export function undescribable({ inputs, outputs }: Model): string | undefined {
  return problemOf('input', inputs) ?? problemOf('output', outputs);
}

function problemOf(what: string, specs: readonly TensorSpec[]): string | undefined {
  const { tensorsMax, rankMax } = wireLimits;
  if (specs.length > tensorsMax) {
    return `it has ${specs.length} ${what}s; ${tensorsMax} are the most`;
  }
  for (const { name, shape } of specs) {
    const shown = `${what} ${JSON.stringify(name.slice(0, shownCharactersMax))}`;
    const unsaid = unsayable(name);
    if (unsaid !== undefined) return `${shown} ${unsaid}; rename it in the model`;
    if (shape.length > rankMax) {
      return `${shown} has ${shape.length} dimensions; ${rankMax} are the most`;
    }
  }
  return undefined;
}
