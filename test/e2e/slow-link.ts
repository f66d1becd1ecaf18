import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a pool and a server on unix sockets, and holds what the server says for a while: a slow server. */
export class SlowLink {
  delayMs = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly listener: Server) {}

  static async at(path: string, serverPath: string): Promise<SlowLink> {
    const listener = createServer();
    const link = new SlowLink(listener);
    listener.on('connection', (client) => {
      link.join(client, connect(serverPath));
    });
    listener.listen(path);
    await once(listener, 'listening');
    return link;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
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
      // In order: timers of equal length are.
      setTimeout(() => client.write(chunk), this.delayMs);
    });
  }
}
