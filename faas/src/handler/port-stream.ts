import { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';

/** Bytes over a port between threads. What waits there is bounded by who sends: by the credit of bodies. */
export class PortStream extends Duplex {
  constructor(private readonly port: MessagePort) {
    super();
    port.on('message', (bytes: Uint8Array) => {
      this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    });
    port.on('close', () => {
      this.destroy();
    });
  }

  override _read(): void {
    // Whatever comes is pushed.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // Memory of its own, so that it moves and is not copied again.
    const bytes = new Uint8Array(chunk);
    this.port.postMessage(bytes, [bytes.buffer]);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.port.close();
    done(error);
  }
}
