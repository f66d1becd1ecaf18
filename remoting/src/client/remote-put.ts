import {
  tensorElsewhere,
  type AxleError,
  type Cancellation,
  type Tensor,
} from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import { OutgoingTensors } from '../tensors/outgoing.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { WireError } from '../wire/wire-error.js';
import { KeptHandle, KeptPlace } from './kept-place.js';
import type { PendingAnswer } from './pending-answer.js';
import type { RemoteSession } from './remote-session.js';
import type { WireClient } from './wire-client.js';

/** A PUT on the connection that is open now; it fails with that. */
export class RemotePut implements PendingAnswer {
  private isCancelled = false;

  private constructor(
    private readonly client: WireClient,
    private readonly id: number,
    private readonly done: (handle: KeptHandle) => void,
    private readonly failed: (reason: unknown) => void,
  ) {}

  /**
   * @param backend name of the one that it is for
   * @throws AxleError UNAVAILABLE without a connection, and as the server says; the reason of `cancellation`
   */
  static async send(
    session: RemoteSession,
    backend: string,
    tensor: Tensor,
    cancellation: Pick<Cancellation, 'subscribe'>,
  ): Promise<Tensor> {
    const client = session.connected();
    const id = session.newHandle();
    const handle = await new Promise<KeptHandle>((resolve, reject) => {
      const put = new RemotePut(client, id, resolve, reject);
      const { records, following } = new OutgoingTensors(
        [{ name: '', tensor }],
        false,
        wireLimits.payloadBytesMax,
      );
      const [record] = records;
      if (record === undefined) throw new Error('a tensor has a record');
      client.ask({ type: 'PUT', id, tensor: record }, put);
      client.sendTensors(id, following);
      cancellation.subscribe({
        cancelled: (reason) => {
          put.cancel(reason);
        },
      });
    });
    const { dtype, shape, byteLength } = tensor;
    return tensorElsewhere(dtype, shape, new KeptPlace(backend, byteLength, handle, 0));
  }

  onFrame(raw: RawFrame): boolean {
    if (raw.type !== 'DONE') throw new WireError('WRONG_STATE', raw.type);
    // One that nobody waits for is let go of at once.
    const handle = new KeptHandle(this.client, this.id, this.isCancelled ? 0 : 1);
    this.done(handle);
    return true;
  }

  onFailed(error: AxleError): void {
    this.failed(error);
  }

  private cancel(reason: unknown): void {
    this.isCancelled = true;
    this.failed(reason);
    this.client.cancel(this.id);
  }
}
