const headBytes = 4;

/**
 * The least that a protocol over `net` can be: a length of four bytes before each message, and one write for all messages
 * of a turn of the event loop.
 */
export class NetFrames {
  /** @readonly */
  #socket;
  /** @readonly */
  #onMessage;
  /** @type {Buffer[]} */
  #parts = [];
  /** A head that a chunk ended in. */
  #head = Buffer.alloc(0);
  /** A message that a chunk ended in, and how much of it is there. @type {Buffer | undefined} */
  #message;
  #filled = 0;

  /**
   * @param {import('node:net').Socket} socket
   * @param {(message: Buffer) => void} onMessage
   */
  constructor(socket, onMessage) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    socket.on('data', (chunk) => {
      this.#read(chunk);
    });
  }

  /** Copies the message: touching every byte is what the other side of a call has to do. @param {Buffer} message */
  send(message) {
    const frame = Buffer.allocUnsafe(headBytes + message.length);
    frame.writeUInt32LE(message.length, 0);
    message.copy(frame, headBytes);
    if (this.#parts.push(frame) > 1) return;
    queueMicrotask(() => {
      this.#flush();
    });
  }

  #flush() {
    const parts = this.#parts;
    this.#parts = [];
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (bytes < 64 * 1024) {
      this.#socket.write(Buffer.concat(parts, bytes));
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** @param {Buffer} chunk */
  #read(chunk) {
    let at = this.#message === undefined ? 0 : this.#fill(this.#message, chunk, 0);
    let data = chunk;
    if (this.#head.length > 0) {
      data = Buffer.concat([this.#head, chunk]);
      this.#head = Buffer.alloc(0);
    }
    while (data.length - at >= headBytes) {
      const bytes = data.readUInt32LE(at);
      at += headBytes;
      if (data.length - at < bytes) {
        this.#message = Buffer.allocUnsafe(bytes);
        this.#filled = 0;
        at = this.#fill(this.#message, data, at);
      } else {
        this.#onMessage(data.subarray(at, at + bytes));
        at += bytes;
      }
    }
    if (at < data.length) this.#head = data.subarray(at);
  }

  /**
   * @param {Buffer} message
   * @param {Buffer} data
   * @param {number} at
   */
  #fill(message, data, at) {
    const copied = data.copy(message, this.#filled, at);
    this.#filled += copied;
    if (this.#filled === message.length) {
      this.#message = undefined;
      this.#onMessage(message);
    }
    return at + copied;
  }
}
