import { chmod, mkdir } from 'node:fs/promises';

import { AxleError } from 'axle';
import { ClassicLevel } from 'classic-level';

import type { QueuedCall } from './queued-call.js';

/** A call by its place in the order of acceptance, from 1. */
export type CallNumber = number;

export interface StoredCall {
  readonly number: CallNumber;
  readonly call: QueuedCall;
}

const digits = 16;
const onDisk = { sync: true } as const;
const json = { valueEncoding: 'json' } as const;
const bytes = { valueEncoding: 'buffer' } as const;

/** Accepted calls in LevelDB: what has to survive is on disk when its method settles. */
export class CallStore {
  private constructor(private readonly level: ClassicLevel) {}

  /** @throws AxleError FAILED_PRECONDITION where another process has it open. */
  static async open(folder: string): Promise<CallStore> {
    // What is in it is the callers', and LevelDB's files are as open as the folder lets them be.
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const level = new ClassicLevel(folder);
    try {
      await level.open();
    } catch (error) {
      const { code, message } = (error as Error).cause as NodeJS.ErrnoException;
      throw code === 'LEVEL_LOCKED'
        ? new AxleError(
            'FAILED_PRECONDITION',
            `another front end works with ${folder}; stop it, or give this one a state folder of its own`,
          )
        : new AxleError('DATA_LOSS', `the queue in ${folder} cannot be opened: ${message}`, {
            cause: error,
          });
    }
    return new CallStore(level);
  }

  /** All calls, in the order of acceptance. */
  async *all(): AsyncGenerator<StoredCall> {
    for await (const [key, call] of this.level.iterator<string, QueuedCall>({
      gt: 'call!',
      lt: 'call"',
      ...json,
    })) {
      yield { number: Number(key.slice('call!'.length)), call };
    }
  }

  /** Undefined where it is not there any more. */
  find(number: CallNumber): Promise<QueuedCall | undefined> {
    return this.level.get<string, QueuedCall>(keyOf('call', number), json);
  }

  /** @throws AxleError DATA_LOSS where it is not there. */
  async read(number: CallNumber): Promise<QueuedCall> {
    const call = await this.find(number);
    if (call === undefined) throw missing(number);
    return call;
  }

  async body(number: CallNumber, kind: 'body' | 'answer'): Promise<Buffer> {
    return (await this.level.get<string, Buffer>(keyOf(kind, number), bytes)) ?? Buffer.alloc(0);
  }

  add(number: CallNumber, call: QueuedCall, body: Uint8Array): Promise<void> {
    return this.level
      .batch()
      .put(keyOf('call', number), call, json)
      .put(keyOf('body', number), Buffer.from(body), bytes)
      .write(onDisk);
  }

  /** @param keepsBody for another try; otherwise only the callback is left */
  answered(
    number: CallNumber,
    call: QueuedCall,
    answer: Uint8Array,
    keepsBody: boolean,
  ): Promise<void> {
    const batch = this.level
      .batch()
      .put(keyOf('call', number), call, json)
      .put(keyOf('answer', number), Buffer.from(answer), bytes);
    if (!keepsBody) batch.del(keyOf('body', number));
    return batch.write(onDisk);
  }

  /** Not waited for by the disk: a number of tries that is lost costs a try. */
  noteAttempt(number: CallNumber, call: QueuedCall): Promise<void> {
    return this.level.put<string, QueuedCall>(keyOf('call', number), call, json);
  }

  /** A dead letter that is to be done again. @param keepsAnswer only its callback is left */
  redriven(number: CallNumber, call: QueuedCall, keepsAnswer: boolean): Promise<void> {
    const batch = this.level.batch().put(keyOf('call', number), call, json);
    if (!keepsAnswer) batch.del(keyOf('answer', number));
    return batch.write(onDisk);
  }

  change(number: CallNumber, call: QueuedCall): Promise<void> {
    return this.level.put<string, QueuedCall>(keyOf('call', number), call, { ...json, ...onDisk });
  }

  remove(number: CallNumber): Promise<void> {
    return this.level
      .batch()
      .del(keyOf('call', number))
      .del(keyOf('body', number))
      .del(keyOf('answer', number))
      .write(onDisk);
  }

  close(): Promise<void> {
    return this.level.close();
  }
}

function keyOf(kind: 'call' | 'body' | 'answer', number: CallNumber): string {
  return `${kind}!${String(number).padStart(digits, '0')}`;
}

function missing(number: CallNumber): AxleError {
  return new AxleError('DATA_LOSS', `call ${number} is not in the queue any more`);
}
