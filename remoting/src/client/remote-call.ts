import type { AxleError, BackendTask } from '@axle/core/internal';

import { IncomingTensors } from '../tensors/incoming.js';
import { decodeData, decodeResult } from '../wire/decode-frame.js';
import type { ResultFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import type { PendingAnswer } from './pending-answer.js';
import type { WireClient } from './wire-client.js';

/** A task that is a CALL on a server. */
export class RemoteCall implements PendingAnswer {
  private result: ResultFrame | undefined = undefined;
  private incoming: IncomingTensors | undefined = undefined;

  constructor(
    private readonly client: WireClient,
    readonly id: number,
    readonly task: BackendTask,
    private readonly sentAt: number,
  ) {}

  onFrame(raw: RawFrame): boolean {
    if (raw.type === 'RESULT') return this.begin(decodeResult(raw));
    if (raw.type === 'DATA' && this.incoming !== undefined) return this.take(raw, this.incoming);
    throw new WireError('WRONG_STATE', raw.type);
  }

  onFailed(error: AxleError): void {
    this.task.settle({ ok: false, error });
  }

  private begin(result: ResultFrame): boolean {
    if (this.result !== undefined) throw new WireError('WRONG_STATE', 'RESULT');
    const incoming = new IncomingTensors(true);
    for (const output of result.outputs) {
      // Nothing was asked for that comes in another way.
      if (output.source === 'SHARED' || output.source === 'OMITTED') {
        throw new WireError('WRONG_STATE', 'RESULT');
      }
      incoming.add(output, output.name);
    }
    this.result = result;
    this.incoming = incoming;
    if (!incoming.isComplete) this.client.expectData(this.id);
    return this.endIfComplete(incoming);
  }

  private take(raw: RawFrame, incoming: IncomingTensors): boolean {
    const { data, end } = decodeData(raw);
    if (end) throw new WireError('WRONG_STATE', 'DATA with END');
    incoming.take(data);
    this.client.usedData(this.id, raw.end - raw.start);
    return this.endIfComplete(incoming);
  }

  private endIfComplete(incoming: IncomingTensors): boolean {
    if (!incoming.isComplete) return false;
    const { queueUs, transferUs, computeUs, totalUs, batchSize } = this.result as ResultFrame;
    const wireMs = Math.max(0, performance.now() - this.sentAt - fromWireUs(totalUs));
    this.task.settle({
      ok: true,
      outputs: incoming.read(),
      timing: {
        queueMs: fromWireUs(queueUs),
        transferMs: fromWireUs(transferUs) + wireMs,
        computeMs: fromWireUs(computeUs),
        batchSize,
      },
    });
    return true;
  }
}
