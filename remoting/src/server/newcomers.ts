import type { Socket } from 'node:net';

/**
 * Connections of which it is not known yet whose they are. When there are too many, the one that has dallied longest
 * goes, so that a flood pushes itself out before it keeps anyone from greeting.
 */
export class Newcomers {
  /** In the order of their arrival. */
  private readonly sockets = new Set<Socket>();

  constructor(private readonly max: number) {}

  get size(): number {
    return this.sockets.size;
  }

  add(socket: Socket): void {
    this.sockets.add(socket);
    socket.once('close', () => {
      this.sockets.delete(socket);
    });
    if (this.sockets.size <= this.max) return;
    for (const oldest of this.sockets) {
      this.sockets.delete(oldest);
      oldest.destroy();
      return;
    }
  }

  /** It is known whose it is. */
  remove(socket: Socket): void {
    this.sockets.delete(socket);
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}
