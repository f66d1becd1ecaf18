import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';

import type { KserveServer } from '../kserve/kserve-server.js';
import { statusOf } from './authentication.js';
import type { GrpcService } from './grpc-service.js';
import { serviceDefinition } from './service.js';
import { AxleError } from '@axle/core/internal';

interface HealthRequest {
  readonly service: string;
}
interface HealthReply {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}
type Watching = ServerWritableStream<HealthRequest, HealthReply>;

/** Watches at once: anyone may ask, and each keeps a call open. */
const watchesMax = 1024;

/**
 * `grpc.health.v1.Health`: '' is the server, and each of its services is as the server is.
 *
 * @param services by their full names
 */
export function healthService(server: KserveServer, services: readonly string[]): GrpcService {
  const watches = new Set<Watching>();
  const stateOf = (service: string): HealthReply => {
    if (service !== '' && !services.includes(service)) return { status: 'SERVICE_UNKNOWN' };
    return { status: server.isReady ? 'SERVING' : 'NOT_SERVING' };
  };
  server.onDrain(() => {
    for (const watch of watches) {
      watch.write(stateOf(watch.request.service));
      // It would keep the server from closing.
      watch.end();
    }
  });
  const watch: handleServerStreamingCall<HealthRequest, HealthReply> = (call) => {
    if (watches.size >= watchesMax) {
      call.emit('error', statusOf(tooMany()));
      return;
    }
    watches.add(call);
    call.on('cancelled', () => watches.delete(call));
    call.write(stateOf(call.request.service));
  };
  return {
    definition: serviceDefinition('grpc.health.v1.Health'),
    handlers: {
      Check: (call: { readonly request: HealthRequest }, done: Done) => {
        const reply = stateOf(call.request.service);
        if (reply.status !== 'SERVICE_UNKNOWN') done(null, reply);
        else done(statusOf(new AxleError('NOT_FOUND', 'there is no such service here')));
      },
      Watch: watch,
    },
  };
}

type Done = (error: object | null, reply?: HealthReply) => void;

function tooMany(): AxleError {
  return AxleError.expected(
    'RESOURCE_EXHAUSTED',
    `${watchesMax} others watch already; ask by Check`,
  );
}
