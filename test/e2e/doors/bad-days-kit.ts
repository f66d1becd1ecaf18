import { mkdirSync } from 'node:fs';
import { type Socket } from 'node:net';
import { join } from 'node:path';

import { expect } from 'vitest';

import { matMulModel } from '../../onnx-model.mjs';
import { folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { answerOf, GrpcClient, messageOf, methodOf } from './grpc-door.js';
import { identityModel, writeModel } from './models.js';
import { type Request } from './request.js';
import { bodyOf, checked, RestClient } from './rest-door.js';

export const messageBytesMax = 1024 * 1024;
export const streamInFlightMax = 2;
export const jsonBytesMax = messageBytesMax / 2;
export const grpcPath = join(folder, 'grpc.sock');
export const httpPath = join(folder, 'http.sock');
/** Where all comes in as tenant mallory, who may have `malloryBytes` of inputs. */
export const malloryPath = join(folder, 'mallory.sock');
export const malloryHttpPath = join(folder, 'mallory-http.sock');
export const malloryBytes = 16 * messageBytesMax;
export const models = join(folder, 'models');

export const identity: Request = {
  model: 'identity',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], values: [1, 2] }],
};
export const slow: Request = {
  model: 'slow',
  inputs: [
    {
      name: 'x',
      datatype: 'FP32',
      shape: [64, 2048],
      values: [],
      raw: Buffer.alloc(64 * 2048 * 4),
    },
  ],
};
export const infer = '/v2/models/identity/infer';

export const streamInfer = methodOf('inference.GRPCInferenceService', 'ModelStreamInfer');
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A frame of HTTP/2 without flags. */
export function http2Frame(type: number, payload: Uint8Array, stream = 0): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const grpcHeaders = {
  ':method': 'POST',
  ':path': '/inference.GRPCInferenceService/ModelInfer',
  'content-type': 'application/grpc',
  te: 'trailers',
};

export async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const piece of socket) text += String(piece);
  return text;
}

/** What nobody is told of. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** As protobuf has lengths. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A server, and clients of its doors. */
export interface Doors {
  readonly server: TrustedServer;
  readonly grpc: GrpcClient;
  /** Of tenant mallory. */
  readonly mallory: GrpcClient;
  readonly rest: RestClient;
}

export async function startDoors(): Promise<Doors> {
  mkdirSync(models);
  writeModel(models, 'identity', identityModel(1, ['n', 'm']), '1', 'dynamic_batching { }');
  writeModel(models, 'slow', matMulModel(2048, 8));
  const server = await TrustedServer.start(folder, {
    grpc: [`unix:${grpcPath}`, `unix:${malloryPath},tenant=mallory`],
    http: [`unix:${httpPath}`, `unix:${malloryHttpPath},tenant=mallory`],
    models: [models],
    tenants: { mallory: { quotas: { requestBytes: malloryBytes, answerBytes: messageBytesMax } } },
    doorLimits: {
      messageBytesMax,
      jsonBytesMax,
      unreadBytesMax: messageBytesMax,
      streamInFlightMax,
    },
  });
  const [grpcEndpoint = '', malloryEndpoint = '', httpEndpoint = ''] = server.doorEndpoints;
  return {
    server,
    grpc: new GrpcClient(grpcEndpoint),
    mallory: new GrpcClient(malloryEndpoint),
    rest: new RestClient(httpEndpoint),
  };
}

export async function closeDoors({ server, grpc, mallory, rest }: Doors): Promise<void> {
  for (const client of [grpc, mallory, rest]) client.close();
  await server.close();
}

/** That the server goes on as if nothing had been. */
export async function answersAsEver({ grpc, rest }: Doors): Promise<void> {
  const reply = answerOf(await grpc.inference('ModelInfer', messageOf(identity, 'raw')));
  expect(reply.outputs[0]?.values).toEqual([1, 2]);
  const { body } = bodyOf(identity, 'json');
  expect(checked(await rest.send('POST', infer, body)).status).toBe(200);
}
