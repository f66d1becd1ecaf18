import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { AxleError } from 'axle';
import { ClassicLevel } from 'classic-level';

import { groupBytesMax, reopenMsMax, testRecordBytes } from './async-limits.js';

export type Encoding = 'json' | 'buffer';

export type Change =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: unknown;
      readonly valueEncoding: Encoding;
    }
  | { readonly type: 'del'; readonly key: string };

interface Write {
  readonly changes: readonly Change[];
  readonly bytes: number;
  readonly isSync: boolean;
  /** Kept until it can be done. Otherwise it is refused, and what of it may be on disk is taken back. */
  readonly isOwed: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** As LevelDB quotes the system: it has one code for all that a disk says. */
const noRoom = /No space left|File too large|Disk quota exceeded/;
const firstMs = 100;
/** Behind all others; there only while the disk is tried. */
const testKey = 'test';

/**
 * LevelDB, and what it does not do by itself: after a write that failed, such as on a full disk, its log has half a
 * record, and what it takes afterwards stands behind it, where the next start does not find it. So writes go one after
 * another, and after one that failed none begins until the store was opened anew, which begins a new log, and took a
 * record.
 */
export class QueueLevel {
  private readonly waiting: Write[] = [];
  /** Keys of what was refused, which may be on disk all the same. */
  private readonly refused = new Set<string>();
  private readonly closing = new AbortController();
  private isWriting = false;
  /** Settles when it can be used again; undefined: it can be. */
  private away: Promise<void> | undefined;

  private constructor(
    private level: ClassicLevel,
    private readonly folder: string,
    private readonly log: (message: string) => void,
  ) {}

  /** @throws AxleError FAILED_PRECONDITION where another process has it open; RESOURCE_EXHAUSTED of a full disk; DATA_LOSS. */
  static async open(folder: string, log: (message: string) => void): Promise<QueueLevel> {
    const level = new ClassicLevel(folder);
    try {
      await level.open();
    } catch (error) {
      const { code, message } = (error as Error).cause as NodeJS.ErrnoException;
      if (code === 'LEVEL_LOCKED') {
        throw new AxleError(
          'FAILED_PRECONDITION',
          `another front end works with ${folder}; stop it, or give this one a state folder of its own`,
        );
      }
      // Of a disk that is full nothing is lost.
      throw new AxleError(
        noRoom.test(message) ? 'RESOURCE_EXHAUSTED' : 'DATA_LOSS',
        `the queue in ${folder} cannot be opened: ${message}`,
        { cause: error },
      );
    }
    await tellOfLoss(folder, log);
    return new QueueLevel(level, folder, log);
  }

  /** @throws AxleError UNAVAILABLE while the disk takes nothing. */
  check(): void {
    if (this.away !== undefined) throw takesNothing();
  }

  /** Waits while the store is opened anew. */
  async get<V>(key: string, valueEncoding: Encoding): Promise<V | undefined> {
    while (this.away !== undefined) await this.away;
    return this.level.get<string, V>(key, { valueEncoding });
  }

  entries<V>(gt: string, lt: string): AsyncIterable<[string, V]> {
    return this.level.iterator<string, V>({ gt, lt, valueEncoding: 'json' });
  }

  /**
   * Settles when it is on disk.
   *
   * @throws AxleError UNAVAILABLE where the disk does not take it; it is not there then, at the latest with the next
   *   write that is.
   */
  add(changes: readonly Change[], bytes: number): Promise<void> {
    this.check();
    return this.write({ changes, bytes, isSync: true, isOwed: false });
  }

  /**
   * Settles when it is on disk, however long the disk takes nothing.
   *
   * @param isSync false: it settles before, and may be lost with the machine
   * @throws what `close` was given, where it comes before.
   */
  change(changes: readonly Change[], bytes: number, isSync = true): Promise<void> {
    return this.write({ changes, bytes, isSync, isOwed: true });
  }

  /** From now on nothing waits for a disk that takes nothing. */
  stopWaiting(reason: Error): void {
    this.closing.abort(reason);
    if (this.away !== undefined) this.rejectAll(reason);
  }

  async close(): Promise<void> {
    if (!this.closing.signal.aborted) this.closing.abort(takesNothing());
    await this.away?.catch(() => undefined);
    await this.level.close();
  }

  private write(write: Omit<Write, 'resolve' | 'reject'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ ...write, resolve, reject });
      void this.pump();
    });
  }

  private async pump(): Promise<void> {
    if (this.isWriting) return;
    this.isWriting = true;
    while (this.away === undefined && this.waiting.length > 0) {
      const group = this.nextGroup();
      try {
        await this.level.batch<string, unknown>(
          group.flatMap(({ changes }) => changes),
          { sync: group.some(({ isSync }) => isSync) },
        );
        for (const { resolve } of group) resolve();
      } catch (error) {
        this.fail(group, error as Error);
      }
    }
    this.isWriting = false;
  }

  /** Those that came meanwhile go to the disk together. */
  private nextGroup(): readonly Write[] {
    let bytes = 0;
    let count = 0;
    for (const write of this.waiting) {
      bytes += write.bytes;
      if (count > 0 && bytes > groupBytesMax) break;
      count += 1;
    }
    return this.waiting.splice(0, count);
  }

  private fail(group: readonly Write[], error: Error): void {
    for (const { isOwed, changes } of group)
      if (!isOwed) for (const { key } of changes) this.refused.add(key);
    const all = [...group, ...this.waiting.splice(0)];
    for (const { isOwed, reject } of all) if (!isOwed) reject(takesNothing(error));
    this.waiting.push(...all.filter(({ isOwed }) => isOwed));
    this.log(
      `the queue in ${this.folder} cannot be written: ${reasonOf(error)}; no asynchronous call is accepted until it can be`,
    );
    this.away = this.comeBack(reasonOf(error));
    this.away.catch(() => undefined);
    if (this.closing.signal.aborted) this.rejectAll(this.closing.signal.reason as Error);
  }

  private rejectAll(reason: Error): void {
    for (const { reject } of this.waiting.splice(0)) reject(reason);
  }

  private async comeBack(told: string): Promise<void> {
    const { signal } = this.closing;
    const since = performance.now();
    for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, reopenMsMax)) {
      signal.throwIfAborted();
      try {
        await this.openAnew();
        break;
      } catch (error) {
        const reason = reasonOf(error as Error);
        if (reason !== told) this.log(`the queue in ${this.folder} is not back: ${reason}`);
        told = reason;
        await sleep(waitMs, undefined, { signal });
      }
    }
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    this.log(`the queue in ${this.folder} can be written again, after ${seconds} s`);
    this.away = undefined;
    void this.pump();
  }

  /** @throws where it cannot be opened, or takes nothing yet. */
  private async openAnew(): Promise<void> {
    await this.level.close();
    this.level = new ClassicLevel(this.folder);
    await this.level.open();
    await tellOfLoss(this.folder, this.log);
    const takeBack = [...this.refused].map((key) => ({ type: 'del', key }) as const);
    const test = { type: 'put', key: testKey, value: Buffer.alloc(testRecordBytes) } as const;
    await this.level.batch<string, Buffer>([...takeBack, { ...test, valueEncoding: 'buffer' }], {
      sync: true,
    });
    await this.level.del(testKey, { sync: true });
    this.refused.clear();
  }
}

/** LevelDB goes on without what it cannot read of its log, and says so only in a file of its own. */
async function tellOfLoss(folder: string, log: (message: string) => void): Promise<void> {
  const said = await readFile(join(folder, 'LOG'), 'utf8').catch(() => '');
  let bytes = 0;
  for (const [, dropped] of said.matchAll(/: dropping (\d+) bytes; /g)) bytes += Number(dropped);
  if (bytes === 0) return;
  log(
    `the queue in ${folder} was damaged: ${bytes} bytes of its log could not be read, and accepted calls that stood there are lost`,
  );
}

function reasonOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? cause.message : error.message;
}

function takesNothing(cause?: Error): AxleError {
  const message = 'the disk of the queue takes nothing now; try again';
  return cause === undefined
    ? AxleError.expected('UNAVAILABLE', message)
    : new AxleError('UNAVAILABLE', message, { cause });
}
