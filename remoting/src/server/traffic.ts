import type { Socket } from 'node:net';

/** Bytes over connections, those that are closed included. */
export class Traffic {
  private readonly open = new Set<Socket>();
  private received = 0;
  private sent = 0;

  add(socket: Socket): void {
    this.open.add(socket);
    socket.once('close', () => {
      this.open.delete(socket);
      this.received += socket.bytesRead;
      this.sent += socket.bytesWritten;
    });
  }

  get bytesReceived(): number {
    return [...this.open].reduce((sum, { bytesRead }) => sum + bytesRead, this.received);
  }

  get bytesSent(): number {
    return [...this.open].reduce((sum, { bytesWritten }) => sum + bytesWritten, this.sent);
  }
}
