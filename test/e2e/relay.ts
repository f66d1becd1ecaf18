import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'up' | 'down';

/** Where the relay cuts: after so many bytes, counted from when it is set. */
export interface Cut {
  readonly direction: Direction;
  readonly bytes: number;
}

/**
 * Stands between clients and a server on unix sockets, counts what passes, and cuts connections where it is told to. What
 * comes before the cut has been handed on.
 */
export class Relay {
  readonly passed = { up: 0, down: 0 };
  connections = 0;
  private cuts: Cut[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly listener: Server,
    readonly endpoint: string,
  ) {}

  static async at(path: string, serverPath: string): Promise<Relay> {
    const listener = createServer();
    const relay = new Relay(listener, `axle+unix:${path}`);
    listener.on('connection', (client) => {
      relay.join(client, connect(serverPath));
    });
    listener.listen(path);
    await once(listener, 'listening');
    return relay;
  }

  /** Counts from now on, and cuts one connection after another. */
  cutAt(...cuts: readonly Cut[]): void {
    this.passed.up = 0;
    this.passed.down = 0;
    this.cuts = [...cuts];
  }

  /** Cuts all connections now. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.listener.close();
    await once(this.listener, 'close');
  }

  private join(client: Socket, server: Socket): void {
    this.connections += 1;
    const both = [client, server];
    for (const socket of both) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        for (const each of both) each.destroySoon();
      });
    }
    this.pass('up', client, server);
    this.pass('down', server, client);
  }

  private pass(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      const [cut] = this.cuts;
      const before = this.passed[direction];
      const left = cut?.direction === direction ? cut.bytes - before : Infinity;
      this.passed[direction] += Math.min(left, chunk.byteLength);
      if (chunk.byteLength < left) {
        to.write(chunk);
        return;
      }
      this.cuts.shift();
      this.passed.up = 0;
      this.passed.down = 0;
      // With its end, so that what was let through arrives.
      to.end(chunk.subarray(0, left));
      from.destroy();
    });
  }
}
