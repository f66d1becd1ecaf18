/** As in plugin.h. Past them the addon refuses the task, so there is no need to write more. */
const inputsMax = 256;
const rankMax = 16;

const valuesPerInput = 4;
const headerNumbers = 10;

/**
 * Writes the numbers of a task into an array that the addon reads, which costs a fraction of reading them from
 * JavaScript values in native code. The layout stands in `core/native/src/inputs.h`; the addon checks every number.
 */
export class TaskWriter {
  readonly numbers = new Float64Array(headerNumbers + inputsMax * (2 + rankMax));

  /** `inputs` as in `NativeBinding.stage`. Returns how many inputs there are, if it is a list of them. */
  write(
    op: number,
    opVersion: number,
    chainFirst: number,
    chainLast: number,
    modelId: number,
    argsId: number,
    inputs: readonly unknown[],
    outputBytesMax: number,
    deadlineMs: number,
    copiesInputs: boolean,
  ): number {
    const numbers = this.numbers;
    numbers[0] = checked(op);
    numbers[1] = checked(opVersion);
    numbers[2] = checked(chainFirst);
    numbers[3] = checked(chainLast);
    numbers[4] = checked(modelId);
    numbers[5] = checked(argsId);
    numbers[6] = checked(outputBytesMax);
    numbers[7] = checked(deadlineMs);
    const count = Array.isArray(inputs) ? inputs.length / valuesPerInput : NaN;
    numbers[8] = copiesInputs ? 1 : 0;
    numbers[9] = count;
    if (count > inputsMax) return count;

    let at = headerNumbers;
    for (let i = 0; i < count; i++) {
      numbers[at++] = checked(inputs[i * valuesPerInput + 1]);
      const dims = inputs[i * valuesPerInput + 2];
      const rank = Array.isArray(dims) ? dims.length : NaN;
      numbers[at++] = rank;
      if (rank > rankMax) return count;
      for (let k = 0; k < rank; k++) numbers[at++] = checked((dims as unknown[])[k]);
    }
    return count;
  }
}

/** What is no number becomes one that the addon refuses. */
function checked(value: unknown): number {
  return typeof value === 'number' ? value : NaN;
}
