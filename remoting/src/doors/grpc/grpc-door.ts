import { Server, ServerCredentials, type ConnectionInjector } from '@grpc/grpc-js';
import type { Socket } from 'node:net';

import type { DoorClients, DoorConnection } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequests } from '../door-request.js';
import type { Door } from '../door.js';
import { authentication, type GrpcConnection } from './authentication.js';
import { UnreadAnswers } from './unread-answers.js';
import type { GrpcService } from './grpc-service.js';

/** Longest list of headers of a call, bytes. */
const headerBytesMax = 16_384;
/** Sessions of HTTP/2 that take more memory than this in Node get no further streams, MiB. */
const sessionMiBMax = 256;

/** gRPC on connections that somebody else takes. One for each listener: all its connections are alike. */
export class GrpcDoor implements Door {
  readonly alpn = ['h2'];
  private readonly server: Server;
  private readonly injector: ConnectionInjector;
  /** By number. */
  private readonly connections = new Map<number, GrpcConnection>();

  constructor(
    clients: DoorClients,
    requests: DoorRequests,
    private readonly limits: DoorLimits,
    services: readonly GrpcService[],
  ) {
    this.server = new Server({
      'grpc.max_receive_message_length': limits.messageBytesMax,
      // What one may have is bounded elsewhere, and what waits by `unreadBytesMax`.
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': limits.streamsMax,
      'grpc.max_metadata_size': headerBytesMax,
      'grpc-node.max_session_memory': sessionMiBMax,
      'grpc.enable_channelz': 0,
      interceptors: [
        authentication(clients, requests, limits, (number) => this.connectionAt(number)),
      ],
    });
    for (const { definition, handlers } of services) this.server.addService(definition, handlers);
    // TLS, where there is any, has been taken off.
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  accept(stream: Socket, connection: DoorConnection): void {
    const { number } = connection;
    const unread = new UnreadAnswers(this.limits.unreadBytesMax);
    this.connections.set(number, { connection, unread });
    stream.once('close', () => {
      this.connections.delete(number);
    });
    // The port of its peer is all by which grpc-js tells a call's connection, and sockets of unix have none.
    Object.defineProperty(stream, 'remotePort', { value: number });
    this.injector.injectConnection(stream);
  }

  async drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.tryShutdown(() => {
        resolve();
      });
    });
  }

  close(): void {
    this.injector.destroy();
    this.server.forceShutdown();
  }

  private connectionAt(number: number | undefined): GrpcConnection {
    const connection = this.connections.get(number ?? 0);
    if (connection === undefined) throw new Error('a call over a connection that is gone');
    return connection;
  }
}
