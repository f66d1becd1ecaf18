import type { NativeBinding } from '../native-binding.js';
import { ErrorCode } from '../generated/constants.js';
import { completionOf, type TaskCompletion } from './host-connection.js';
import { broken } from './rule.js';

/** Output of one write may be this large unless a rule says otherwise. */
const outputBytesMax = 1024 * 1024;
/** Writes in a row that take nothing and give nothing, though something is left to do. */
const idleWritesMax = 16;

/** What came of writes up to the end or to the first that failed. */
export interface StreamOutcome {
  readonly output: Buffer;
  /** The write that failed. */
  readonly failed: TaskCompletion | undefined;
}

/** One stream of a plugin, on the plugin host. */
export class StreamUnderTest {
  constructor(
    private readonly binding: NativeBinding,
    private readonly id: number,
    private readonly device: string,
  ) {}

  /** One write, which need not use up `data`. */
  write(data: Uint8Array, end: boolean, cap = outputBytesMax): Promise<TaskCompletion> {
    const id = this.binding.streamWrite(this.id, data, end, cap, 0);
    return completionOf(id, { device: this.device, what: 'writes', count: 1 }, 0);
  }

  /**
   * Writes all of `data` as the contract has it: what was not consumed is written again, and while more output waits,
   * nothing new is.
   *
   * @throws RuleBroken when the stream neither takes nor gives anything any more.
   */
  async writeAll(data: Uint8Array, end: boolean, cap = outputBytesMax): Promise<StreamOutcome> {
    const chunks: Uint8Array[] = [];
    let left = data;
    for (let idle = 0; idle <= idleWritesMax; idle++) {
      const completion = await this.write(left, end, cap);
      if (completion.status !== ErrorCode.OK) {
        return { output: Buffer.concat(chunks), failed: completion };
      }
      const given = completion.outputs.flatMap((output) => output.data);
      chunks.push(...given);
      left = left.subarray(completion.consumedBytes);
      if (left.length === 0 && !completion.more) {
        return { output: Buffer.concat(chunks), failed: undefined };
      }
      if (completion.consumedBytes > 0 || given.some(({ length }) => length > 0)) idle = -1;
    }
    return broken(
      `${idleWritesMax} writes in a row took nothing and gave nothing, with ${left.length} bytes left to take`,
    );
  }

  /** Writes each piece to its end, the last one with the stream's end. */
  async writePieces(pieces: readonly Uint8Array[], cap = outputBytesMax): Promise<StreamOutcome> {
    const outputs: Buffer[] = [];
    for (const [i, piece] of pieces.entries()) {
      const { output, failed } = await this.writeAll(piece, i === pieces.length - 1, cap);
      outputs.push(output);
      if (failed !== undefined) return { output: Buffer.concat(outputs), failed };
    }
    return { output: Buffer.concat(outputs), failed: undefined };
  }

  /** Cancels an outstanding write, and waits for it. */
  close(): Promise<void> {
    return this.binding.streamClose(this.id);
  }
}
