import type { FailedBefore } from './failed-before.js';

type Waiting<T> = [onValue: (value: T) => void, onFailed: (error: FailedBefore) => void];

/**
 * What frames may name before it is there. Unlike a promise it can be looked into, so that what is there already costs
 * nothing.
 */
export class Future<T> {
  private waiting: Waiting<T>[] = [];
  private settledValue: T | undefined = undefined;
  private failure: FailedBefore | undefined = undefined;

  static of<T>(value: T): Future<T> {
    const future = new Future<T>();
    future.settledValue = value;
    return future;
  }

  /** Undefined: not there yet, or failed. */
  get value(): T | undefined {
    return this.settledValue;
  }

  /** Calls one of them: at once when it is settled already. */
  when(onValue: (value: T) => void, onFailed: (error: FailedBefore) => void): void {
    if (this.settledValue !== undefined) onValue(this.settledValue);
    else if (this.failure !== undefined) onFailed(this.failure);
    else this.waiting.push([onValue, onFailed]);
  }

  settle(value: T): void {
    this.settledValue = value;
    for (const [onValue] of this.taken()) onValue(value);
  }

  fail(error: FailedBefore): void {
    this.failure = error;
    for (const [, onFailed] of this.taken()) onFailed(error);
  }

  private taken(): Waiting<T>[] {
    const { waiting } = this;
    this.waiting = [];
    return waiting;
  }
}
