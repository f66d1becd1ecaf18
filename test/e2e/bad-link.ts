import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a link makes of what a server says, from when it is told to. */
export type Spoil = (chunk: Buffer) => Buffer;

const headerBytes = 16;

/** As no server should speak. */
export const spoils = {
  /** It is silent, and its connection stays. */
  silence: () => Buffer.alloc(0),
  /** Nothing that it says means anything. */
  noise: (chunk) => Buffer.from(chunk.map((byte, i) => byte ^ (i * 37 + 11))),
  /** Payloads of lengths that are past every limit. */
  'lengths past the limit': (chunk) => {
    const spoilt = Buffer.from(chunk);
    spoilt.fill(0xff, 0, Math.min(4, spoilt.byteLength));
    return spoilt;
  },
  /** Each piece misses its end, so that what follows is taken for it. */
  'pieces that are cut off': (chunk) => chunk.subarray(0, Math.max(1, chunk.byteLength - 8)),
  /** It says all that it says again. */
  'everything twice': (chunk) => Buffer.concat([chunk, chunk]),
  /** Answers to what was never asked. */
  'answers to nobody': (chunk) => {
    const spoilt = Buffer.from(chunk);
    if (spoilt.byteLength >= headerBytes) spoilt.fill(0x5a, 8, headerBytes);
    return spoilt;
  },
} as const satisfies Readonly<Record<string, Spoil>>;

/** Stands between a pool and a server on unix sockets, and spoils what the server says. */
export class BadLink {
  /** Undefined: nothing is spoilt. */
  spoil: Spoil | undefined = undefined;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly listener: Server) {}

  static async at(path: string, serverPath: string): Promise<BadLink> {
    const listener = createServer();
    const link = new BadLink(listener);
    listener.on('connection', (client) => {
      link.join(client, connect(serverPath));
    });
    listener.listen(path);
    await once(listener, 'listening');
    return link;
  }

  /** Nothing is spoilt from now on; what was lost on connections does not come any more, so they end. */
  mend(): void {
    this.spoil = undefined;
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.mend();
    this.listener.close();
    await once(this.listener, 'close');
  }

  private join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => server.write(chunk));
    server.on('data', (chunk: Buffer) => {
      client.write(this.spoil?.(chunk) ?? chunk);
    });
  }
}
