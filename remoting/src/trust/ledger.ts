import { AxleError } from '@axle/core/internal';

import { quotaNames, quotaWords, type QuotaName, type Quotas } from './quotas.js';

/** What is in use, held against quotas: of one tenant, or of a server as a whole. */
export class Ledger {
  private readonly amounts: Record<QuotaName, number> = {
    connections: 0,
    handles: 0,
    calls: 0,
    requestBytes: 0,
    models: 0,
    modelBytes: 0,
  };

  /**
   * @param owner as messages to the tenant call it: 'tenant alice'
   * @param quotas may be exchanged while things are in use: what is there stays, and nothing is added past them
   * @param whole counts the same things for everyone
   */
  constructor(
    private readonly owner: string,
    public quotas: Quotas,
    private readonly whole?: Ledger,
  ) {}

  used(name: QuotaName): number {
    return this.amounts[name];
  }

  get isIdle(): boolean {
    return quotaNames.every((name) => this.amounts[name] === 0);
  }

  /**
   * Counts what is about to be taken; whoever takes it gives it back with `give`.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past a quota, and then nothing is counted; retryable unless it alone is too much.
   */
  take(name: QuotaName, amount = 1): void {
    const used = this.amounts[name];
    if (used + amount > this.quotas[name]) throw this.exhausted(name, amount);
    this.whole?.take(name, amount);
    this.amounts[name] = used + amount;
  }

  /** Counts what is there whatever the quota says; `check` then says it. */
  add(name: QuotaName, amount = 1): void {
    this.amounts[name] += amount;
    this.whole?.add(name, amount);
  }

  give(name: QuotaName, amount = 1): void {
    this.add(name, -amount);
  }

  /** @throws AxleError RESOURCE_EXHAUSTED when more is in use than may be. */
  check(name: QuotaName): void {
    if (this.amounts[name] > this.quotas[name]) throw this.exhausted(name, 1);
    this.whole?.check(name);
  }

  private exhausted(name: QuotaName, amount: number): AxleError {
    const most = this.quotas[name];
    const words = quotaWords[name];
    if (amount > most) {
      const message = `${this.owner} may have ${most} ${words}, and this alone needs ${amount}`;
      return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
    }
    return AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${this.owner} may have ${most} ${words} at a time; end some of them, or try again later`,
    );
  }
}
