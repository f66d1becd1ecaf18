import { chmod, mkdir } from 'node:fs/promises';

import { AxleError } from 'axle';

import { type Change, QueueLevel } from './queue-level.js';
import type { QueuedCall } from './queued-call.js';

/** A call by its place in the order of acceptance, from 1. */
export type CallNumber = number;

export interface StoredCall {
  readonly number: CallNumber;
  readonly call: QueuedCall;
}

const digits = 16;

/**
 * Accepted calls in LevelDB: what has to survive is on disk when its method settles. Where the disk takes nothing, new
 * calls are refused; what is to be noted of those that it has waits until it can be.
 */
export class CallStore {
  private constructor(private readonly level: QueueLevel) {}

  /**
   * @param log what the operator is told of the disk
   * @throws AxleError FAILED_PRECONDITION where another process has it open; RESOURCE_EXHAUSTED of a full disk; DATA_LOSS.
   */
  static async open(folder: string, log: (message: string) => void): Promise<CallStore> {
    // What is in it is the callers', and LevelDB's files are as open as the folder lets them be.
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    return new CallStore(await QueueLevel.open(folder, log));
  }

  /** @throws AxleError UNAVAILABLE while the disk takes nothing. */
  check(): void {
    this.level.check();
  }

  /** All calls, in the order of acceptance. */
  async *all(): AsyncGenerator<StoredCall> {
    for await (const [key, call] of this.level.entries<QueuedCall>('call!', 'call"')) {
      yield { number: Number(key.slice('call!'.length)), call };
    }
  }

  /** Undefined where it is not there any more. */
  find(number: CallNumber): Promise<QueuedCall | undefined> {
    return this.level.get<QueuedCall>(keyOf('call', number), 'json');
  }

  /** @throws AxleError DATA_LOSS where it is not there. */
  async read(number: CallNumber): Promise<QueuedCall> {
    const call = await this.find(number);
    if (call === undefined) throw missing(number);
    return call;
  }

  async body(number: CallNumber, kind: 'body' | 'answer'): Promise<Buffer> {
    return (await this.level.get<Buffer>(keyOf(kind, number), 'buffer')) ?? Buffer.alloc(0);
  }

  /** @throws AxleError UNAVAILABLE where the disk does not take it. */
  async add(number: CallNumber, call: QueuedCall, body: Uint8Array): Promise<void> {
    const changes = [putCall(number, call), putBytes('body', number, body)];
    await this.level.add(changes, body.byteLength);
  }

  /** @param keepsBody for another try; otherwise only the callback is left */
  answered(
    number: CallNumber,
    call: QueuedCall,
    answer: Uint8Array,
    keepsBody: boolean,
  ): Promise<void> {
    const changes: Change[] = [putCall(number, call), putBytes('answer', number, answer)];
    if (!keepsBody) changes.push(del('body', number));
    return this.level.change(changes, answer.byteLength);
  }

  /** Not waited for by the disk: a number of tries that is lost costs a try. */
  noteAttempt(number: CallNumber, call: QueuedCall): Promise<void> {
    return this.level.change([putCall(number, call)], 0, false);
  }

  /** A dead letter that is to be done again. @param keepsAnswer only its callback is left */
  redriven(number: CallNumber, call: QueuedCall, keepsAnswer: boolean): Promise<void> {
    const changes: Change[] = [putCall(number, call)];
    if (!keepsAnswer) changes.push(del('answer', number));
    return this.level.change(changes, 0);
  }

  change(number: CallNumber, call: QueuedCall): Promise<void> {
    return this.level.change([putCall(number, call)], 0);
  }

  remove(number: CallNumber): Promise<void> {
    return this.level.change([del('call', number), del('body', number), del('answer', number)], 0);
  }

  /** From now on nothing waits for a disk that takes nothing: it fails with this. */
  stopWaiting(reason: Error): void {
    this.level.stopWaiting(reason);
  }

  close(): Promise<void> {
    return this.level.close();
  }
}

type Kind = 'call' | 'body' | 'answer';

function putCall(number: CallNumber, call: QueuedCall): Change {
  return { type: 'put', key: keyOf('call', number), value: call, valueEncoding: 'json' };
}

function putBytes(kind: Kind, number: CallNumber, value: Uint8Array): Change {
  return {
    type: 'put',
    key: keyOf(kind, number),
    value: Buffer.from(value),
    valueEncoding: 'buffer',
  };
}

function del(kind: Kind, number: CallNumber): Change {
  return { type: 'del', key: keyOf(kind, number) };
}

function keyOf(kind: Kind, number: CallNumber): string {
  return `${kind}!${String(number).padStart(digits, '0')}`;
}

function missing(number: CallNumber): AxleError {
  return new AxleError('DATA_LOSS', `call ${number} is not in the queue any more`);
}
