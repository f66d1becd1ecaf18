import type { ServiceDefinition } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';

import { descriptions } from './descriptions.js';

/** How messages of one method are read and written, where it is not by their description. */
export interface OwnCodec {
  readonly read?: (message: Buffer) => unknown;
  readonly write?: (message: never) => Buffer;
}

/**
 * A service of `proto/` as grpc-js takes it. Messages are plain objects with the names of their fields; numbers of 64 bits
 * are numbers where they are exact.
 *
 * @param codecs by method
 */
export function serviceDefinition(
  name: string,
  codecs: Readonly<Record<string, OwnCodec>> = {},
): ServiceDefinition {
  const service = descriptions().root.lookupService(name);
  const methods = service.methodsArray.map((method) => {
    const { requestStream = false, responseStream = false } = method;
    const own = codecs[method.name];
    const definition = {
      path: `/${name}/${method.name}`,
      requestStream,
      responseStream,
      requestDeserialize: own?.read ?? reader(method.resolvedRequestType),
      responseSerialize: own?.write ?? writer(method.resolvedResponseType),
      requestSerialize: writer(method.resolvedRequestType),
      responseDeserialize: reader(method.resolvedResponseType),
    };
    return [method.name, definition] as const;
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

function reader(type: protobuf.Type | null): (message: Buffer) => object {
  const of = described(type);
  return (message) =>
    of.toObject(of.decode(message), { longs: Number, defaults: true, oneofs: true });
}

function writer(type: protobuf.Type | null): (message: object) => Buffer {
  const of = described(type);
  return (message) => of.encode(of.fromObject(message)).finish() as Buffer;
}

function described(type: protobuf.Type | null): protobuf.Type {
  if (type === null) throw new Error('a method without its message');
  return type;
}
