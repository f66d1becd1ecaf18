import type { AxleError, NamedTensor } from '@axle/core/internal';

import { guestArena, guestMemoryOf } from '../shared-memory/guest-memory.js';
import { arenaOf } from '../shared-memory/server-arena.js';
import { IncomingTensors } from '../tensors/incoming.js';
import { decodeData } from '../wire/decode-frame.js';
import type { PutFrame, SharedTensor } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { WireError } from '../wire/wire-error.js';
import type { Front } from './front.js';
import { Future } from './future.js';
import { TensorHolder } from './tensor-holder.js';

/** A PUT: a tensor that is kept for calls to name. */
export class ServerPut extends TensorHolder {
  private readonly incoming = new IncomingTensors(false);

  private constructor(
    front: Front,
    readonly id: number,
  ) {
    super(front, new Future<readonly NamedTensor[]>());
  }

  /** Answers PUT. @throws AxleError as it is to fail */
  static begin(front: Front, { id, tensor }: PutFrame): void {
    const { source } = tensor;
    const put = new ServerPut(front, id);
    front.hold(id, put);
    put.keep(source === 'INLINE' ? tensor.data.byteLength : tensor.bytes);
    if (source === 'SHARED' && tensor.arena === guestArena) {
      put.readFromGuest(tensor);
      return;
    }
    if (source === 'SHARED') {
      put.incoming.addShared(tensor, '', arenaOf(front).copy(tensor));
      put.finish();
      return;
    }
    // What it came in holds other frames too, which would stay with it.
    const record = source === 'INLINE' ? { ...tensor, data: new Uint8Array(tensor.data) } : tensor;
    put.incoming.add(record, '');
    if (put.incoming.isComplete) put.finish();
    else front.expectData(id);
  }

  override onData(raw: RawFrame): void {
    const { data, end } = decodeData(raw);
    if (end) throw new WireError('WRONG_STATE', 'DATA with END');
    this.incoming.take(data);
    this.front.usedData(this.id, raw.end - raw.start);
    if (this.incoming.isComplete) this.finish();
  }

  override cancel(reason: AxleError): void {
    this.front.fail(this.id, reason);
  }

  private readFromGuest(tensor: SharedTensor): void {
    const memory = guestMemoryOf(this.front);
    memory.check(tensor);
    const data = Buffer.allocUnsafeSlow(tensor.bytes);
    this.incoming.addShared(tensor, '', data);
    const pending = memory.read(tensor.offset, data);
    if (pending === undefined) this.finish();
    else {
      pending.then(
        () => {
          this.finish();
        },
        (error: unknown) => {
          if (this.isOpen) this.front.fail(this.id, error);
        },
      );
    }
  }

  private finish(): void {
    const { front, id } = this;
    // Meanwhile it was cancelled, or the connection ended.
    if (!this.isOpen) return;
    front.forgetData(id);
    let tensors: readonly NamedTensor[];
    try {
      tensors = this.incoming.read();
    } catch (error) {
      front.fail(id, error);
      return;
    }
    front.answer({ type: 'DONE', id }, [], true);
    this.kept?.settle(tensors);
  }
}
