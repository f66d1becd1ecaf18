import { status, type handleBidiStreamingCall } from '@grpc/grpc-js';

import type { FileDescriptors } from './file-descriptors.js';
import type { GrpcService } from './grpc-service.js';
import { serviceDefinition } from './service.js';

interface ReflectionRequest {
  readonly message_request?: string;
  readonly file_by_filename: string;
  readonly file_containing_symbol: string;
}

/**
 * `grpc.reflection.VERSION.ServerReflection`: tells clients such as grpcurl what there is to call.
 *
 * @param services by their full names
 */
export function reflectionService(
  version: 'v1' | 'v1alpha',
  services: readonly string[],
  descriptors: FileDescriptors,
): GrpcService {
  const info: handleBidiStreamingCall<ReflectionRequest, object> = (call) => {
    call.on('data', (request: ReflectionRequest) => {
      const answer = { original_request: request, ...answerTo(request, services, descriptors) };
      // A client that does not read what it asks for is not asked for more.
      if (call.write(answer)) return;
      call.pause();
      call.once('drain', () => call.resume());
    });
    call.on('end', () => {
      call.end();
    });
    call.on('error', () => undefined);
  };
  return {
    definition: serviceDefinition(`grpc.reflection.${version}.ServerReflection`),
    handlers: { ServerReflectionInfo: info },
  };
}

function answerTo(
  request: ReflectionRequest,
  services: readonly string[],
  descriptors: FileDescriptors,
): object {
  switch (request.message_request) {
    case 'list_services':
      return { list_services_response: { service: services.map((name) => ({ name })) } };
    case 'file_by_filename':
      return filesOr(descriptors.byName(request.file_by_filename), 'file');
    case 'file_containing_symbol':
      return filesOr(descriptors.bySymbol(request.file_containing_symbol), 'symbol');
    // Version 3 of protobuf has no extensions.
    case 'file_containing_extension':
    case 'all_extension_numbers_of_type':
      return failure(status.NOT_FOUND, 'there are no extensions here');
    default:
      return failure(status.UNIMPLEMENTED, 'this server does not know what is asked for');
  }
}

function filesOr(files: readonly Buffer[] | undefined, what: string): object {
  if (files === undefined) return failure(status.NOT_FOUND, `there is no such ${what} here`);
  return { file_descriptor_response: { file_descriptor_proto: files } };
}

function failure(code: number, message: string): object {
  return { error_response: { error_code: code, error_message: message } };
}
