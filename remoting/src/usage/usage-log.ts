import type { DeviceUse } from '@axle/core/internal';

import { RotatingFile, type RotatingFileOptions } from '../log/rotating-file.js';
import { UsageCounts } from './usage-counts.js';

/** How often what was used since is written, milliseconds: what a server that is killed loses at most. */
export const usageWriteMs = 10_000;
const microsecondDecimals = 1000;

/** One line of a usage log: what a tenant used of a device with a model, from `from` to `to`. */
export interface UsageLine {
  /** ISO 8601. */
  readonly from: string;
  readonly to: string;
  readonly tenant: string;
  readonly model: string;
  readonly device: string;
  readonly tasks: number;
  readonly deviceMs: number;
}

/** Writes what tenants use, a line of JSON for each tenant, model and device that had some: what a bill is made of. */
export class UsageLog {
  private readonly file: RotatingFile;
  private counts = new UsageCounts();
  private from: Date;
  private readonly timer: NodeJS.Timeout;

  constructor(
    options: RotatingFileOptions,
    private readonly clock: () => Date = () => new Date(),
    writeMs = usageWriteMs,
  ) {
    this.file = new RotatingFile(options);
    this.from = clock();
    this.timer = setInterval(() => void this.write(), writeMs).unref();
  }

  add(use: DeviceUse): void {
    this.counts.add(use);
  }

  /** Settles when all is on the disk, as far as that takes it. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.write();
  }

  private async write(): Promise<void> {
    const { counts } = this;
    const [from, to] = [this.from, this.clock()];
    this.counts = new UsageCounts();
    this.from = to;
    for (const { tenant, model, device, tasks, deviceMs } of counts.all) {
      const line: UsageLine = {
        ...{ from: from.toISOString(), to: to.toISOString(), tenant, model, device, tasks },
        deviceMs: Math.round(deviceMs * microsecondDecimals) / microsecondDecimals,
      };
      this.file.add(JSON.stringify(line));
    }
    await this.file.flush();
  }
}
