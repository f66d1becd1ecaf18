import { otherLabel, type DeviceUse } from '@axle/core/internal';

/** Tenants, models and devices together that are told apart; what further ones use is added up. */
export const usageEntriesMax = 16_384;

/** What one tenant used of one device with one model, or op. */
export interface UsageEntry {
  readonly tenant: string;
  /** Name of the model; the op, in brackets, of calls without one. */
  readonly model: string;
  readonly device: string;
  /** That gave a result; a call of several steps has as many. */
  tasks: number;
  deviceMs: number;
}

/** Device time of tenants, as far as tasks gave results. */
export class UsageCounts {
  private readonly entries = new Map<string, UsageEntry>();

  get all(): Iterable<UsageEntry> {
    return this.entries.values();
  }

  add({ tenant, model, op, device, deviceMs }: DeviceUse): void {
    const entry = this.entryOf(tenant, model ?? `[${op}]`, device);
    entry.tasks += 1;
    entry.deviceMs += deviceMs;
  }

  private entryOf(tenant: string, model: string, device: string): UsageEntry {
    const key = `${tenant}\n${model}\n${device}`;
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    if (this.entries.size >= usageEntriesMax && tenant !== otherLabel) {
      return this.entryOf(otherLabel, otherLabel, otherLabel);
    }
    const entry = { tenant, model, device, tasks: 0, deviceMs: 0 };
    this.entries.set(key, entry);
    return entry;
  }
}
