import { RotatingFile, type RotatingFileOptions } from './rotating-file.js';

/** What is told of, each with what it is about. No event has a secret in it, nor anything of what calls work on. */
export type AuditEvent =
  | 'started'
  | 'stopped'
  | 'connected'
  | 'disconnected'
  | 'expelled'
  | 'refused'
  | 'calls refused'
  | 'token created'
  | 'token revoked'
  | 'token removed'
  | 'token expired'
  | 'model pushed'
  | 'model removed'
  | 'tenant added'
  | 'tenant changed'
  | 'tenant removed'
  | 'quotas changed';

export type AuditFields = Readonly<Record<string, unknown>>;

/** Lines of one kind that outsiders can cause, in a window: further ones are counted. */
const refusalsMax = 100;
const windowMs = 10_000;
/** Tenants whose refused calls are told apart in a window. */
const refusedTenantsMax = 1024;

interface RefusedCalls {
  readonly tenant: string;
  readonly code: string;
  readonly reason: string;
  count: number;
}

/** Who did what to a server: lines of JSON in a file that is only added to, and bounded. */
export class AuditLog {
  private readonly file: RotatingFile;
  private refusals = 0;
  private readonly refusedCalls = new Map<string, RefusedCalls>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    options: RotatingFileOptions,
    private readonly clock: () => Date = () => new Date(),
    msOfWindow = windowMs,
  ) {
    this.file = new RotatingFile(options);
    this.timer = setInterval(() => void this.turn(), msOfWindow).unref();
  }

  add(event: AuditEvent, fields: AuditFields = {}): void {
    this.file.add(JSON.stringify({ time: this.clock().toISOString(), event, ...fields }));
  }

  /** Somebody was not let in, as often as somebody may like: only so many have a line of their own. */
  refused(fields: AuditFields): void {
    this.refusals += 1;
    if (this.refusals <= refusalsMax) this.add('refused', fields);
  }

  /** A call of a tenant was refused by a quota or a right: one line for all like it, in a while. */
  refusedCall(tenant: string, code: string, reason: string): void {
    const key = `${tenant} ${code}`;
    const known = this.refusedCalls.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.refusedCalls.size < refusedTenantsMax) {
      this.refusedCalls.set(key, { tenant, code, reason, count: 1 });
    }
  }

  /** Settles when all is on the disk, as far as that takes it. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.turn();
  }

  private async turn(): Promise<void> {
    const more = this.refusals - refusalsMax;
    this.refusals = 0;
    if (more > 0) this.add('refused', { more });
    for (const refused of this.refusedCalls.values()) this.add('calls refused', { ...refused });
    this.refusedCalls.clear();
    await this.file.flush();
  }
}
