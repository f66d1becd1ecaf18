import { AxleError } from '@axle/core/internal';

import { quotaNames, quotaWords, type QuotaName, type Quotas } from './quotas.js';

/** One quota, and what is in use of it. */
class Count {
  used = 0;

  constructor(
    private readonly owner: string,
    private readonly words: string,
    public most: number,
    /** Of the same for everyone. */
    private readonly whole: Count | undefined,
  ) {}

  take(amount: number): void {
    if (this.used + amount > this.most) throw this.exhausted(amount);
    this.whole?.take(amount);
    this.used += amount;
  }

  add(amount: number): void {
    this.used += amount;
    this.whole?.add(amount);
  }

  get left(): number {
    const own = this.most - this.used;
    return this.whole === undefined ? own : Math.min(own, this.whole.left);
  }

  check(): void {
    if (this.used > this.most) throw this.exhausted(1);
    this.whole?.check();
  }

  private exhausted(amount: number): AxleError {
    const { owner, most, words } = this;
    if (amount > most) {
      const message = `${owner} may have ${most} ${words}, and this alone needs ${amount}`;
      return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
    }
    return AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${owner} may have ${most} ${words} at a time; end some of them, or try again later`,
    );
  }
}

/**
 * What is in use, held against quotas: of one tenant, or of a server as a whole. An object for each quota: every call
 * counts seven times, and each look-up by name costs as much as the counting.
 */
export class Ledger {
  private readonly counts: Readonly<Record<QuotaName, Count>>;

  /**
   * @param owner as messages to the tenant call it: 'tenant alice'
   * @param whole counts the same things for everyone
   */
  constructor(owner: string, quotas: Quotas, whole?: Ledger) {
    const count = (name: QuotaName) =>
      new Count(owner, quotaWords[name], quotas[name], whole?.counts[name]);
    this.counts = {
      connections: count('connections'),
      handles: count('handles'),
      calls: count('calls'),
      requestBytes: count('requestBytes'),
      answerBytes: count('answerBytes'),
      models: count('models'),
      modelBytes: count('modelBytes'),
      sharedMemoryBytes: count('sharedMemoryBytes'),
    };
  }

  /** They may change while things are in use: what is there stays, and nothing is added past them. */
  set quotas(quotas: Quotas) {
    for (const name of quotaNames) this.counts[name].most = quotas[name];
  }

  used(name: QuotaName): number {
    return this.counts[name].used;
  }

  /** What may be taken now; negative where more is in use than may be. */
  left(name: QuotaName): number {
    return this.counts[name].left;
  }

  get isIdle(): boolean {
    return quotaNames.every((name) => this.counts[name].used === 0);
  }

  /**
   * Counts what is about to be taken; whoever takes it gives it back with `give`.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past a quota, and then nothing is counted; retryable unless it alone is too much.
   */
  take(name: QuotaName, amount = 1): void {
    this.counts[name].take(amount);
  }

  /** Counts what is there whatever the quota says; `check` then says it. */
  add(name: QuotaName, amount = 1): void {
    this.counts[name].add(amount);
  }

  give(name: QuotaName, amount = 1): void {
    this.add(name, -amount);
  }

  /** @throws AxleError RESOURCE_EXHAUSTED when more is in use than may be. */
  check(name: QuotaName): void {
    this.counts[name].check();
  }
}
