import { pipeline, type Duplex } from 'node:stream';

/**
 * Joins a guest's port to a server once the guest says something: a server waits some seconds for a greeting, and Linux may
 * boot for longer. When one of the two ends, the other does.
 *
 * @param connect may give what is not connected yet
 */
export function joinWhenHeard(port: Duplex, connect: () => Promise<Duplex>): void {
  port.on('error', () => undefined);
  port.once('data', (first: Buffer) => {
    port.pause();
    connect().then(
      (server) => {
        server.write(first);
        // Whoever is left hears of the end by its own end.
        pipeline(port, server, () => undefined);
        pipeline(server, port, () => undefined);
      },
      () => port.destroy(),
    );
  });
}
