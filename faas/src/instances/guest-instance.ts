import { asAxleError } from '../as-axle-error.js';
import type { FunctionCall } from '../calls/function-call.js';
import type { Carrier } from './carrier.js';
import { ChannelInstance, type ChannelInstanceOptions } from './channel-instance.js';
import { unavailable } from './instance-end.js';
import type { CallOutcome, Instance, InstanceEvents, RunningCall } from './instance.js';
import type { ProcessUsage } from './process-table.js';

/** A guest: what carries it has to be found and started first, which takes a while and may fail. */
export class GuestInstance implements Instance {
  readonly id: string;
  readonly ready: Promise<void>;
  private inner: ChannelInstance | undefined;
  private readonly stopped = new AbortController();
  /** Settles when it is known whether there is something to stop. */
  private readonly booted: Promise<unknown>;

  /**
   * @param start gives its carrier; it is told when nobody wants it any more
   * @param setup what the guest is told first
   */
  constructor(
    start: (signal: AbortSignal) => Promise<Carrier>,
    private readonly options: ChannelInstanceOptions,
    private readonly events: InstanceEvents,
    private readonly setup: object,
  ) {
    this.id = options.id;
    const booted = this.boot(start);
    this.booted = booted.catch(() => undefined);
    this.ready = booted.then((inner) => inner.ready);
    this.ready.catch(() => undefined);
  }

  get usage(): ProcessUsage | undefined {
    return this.inner?.usage;
  }

  invoke(call: FunctionCall, outcome: CallOutcome): RunningCall {
    if (this.inner === undefined) throw new Error('a guest gets no call before it is ready');
    return this.inner.invoke(call, outcome);
  }

  async stop(graceMs: number): Promise<void> {
    this.stopped.abort(unavailable('the instance was stopped'));
    await this.booted;
    await this.inner?.stop(graceMs);
  }

  private async boot(start: (signal: AbortSignal) => Promise<Carrier>): Promise<ChannelInstance> {
    const { signal } = this.stopped;
    try {
      const carrier = await start(signal);
      this.inner = new ChannelInstance(carrier, this.options, this.events, this.setup);
      return this.inner;
    } catch (error) {
      const reason = asAxleError(error);
      this.events.log({ instance: this.id, at: new Date(), text: `(ended: ${reason.message})` });
      this.events.ended(reason);
      throw reason;
    }
  }
}
