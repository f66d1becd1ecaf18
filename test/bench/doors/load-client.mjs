// node load-client.mjs PROTOCOL SOCKET MODEL: for each line `IN_FLIGHT SECONDS` keeps that many calls in flight for so
// long, and prints how many a second were answered. PROTOCOL: grpc, grpc-echo or http. Answers are not read further than
// their length: what is measured is the server.
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

import { callsPerSecond } from '../calls-per-second.mjs';
import { echoMethod } from '../remoting/grpc-js-service.mjs';

const [protocol = '', path = '', model = ''] = process.argv.slice(2);
const isMlp = model === 'on' || model === 'off';
const isWide = model.startsWith('wide');
const shape = isMlp ? [1, 1, 32, 32] : [1, 1024];
/** In the answer, by the model: labels, classes, or what was sent. */
const answerBytesMin = isMlp ? 34 * 4 : isWide ? 1000 * 4 : 1024 * 4;
const input = { name: isMlp ? 'image' : 'x', datatype: 'FP32', shape };
const raw = Buffer.from(new Float32Array(1024).fill(0.25).buffer);

const call = protocol === 'http' ? httpCall() : grpcCall();
console.log('ready');
for await (const line of createInterface(process.stdin)) {
  const [inFlight = 1, seconds = 1] = line.split(' ').map(Number);
  console.log(await callsPerSecond(inFlight, seconds * 1000, checkedCall));
}
process.exit();

/** @throws for an answer that is none */
async function checkedCall() {
  const bytes = await call();
  if (bytes < answerBytesMin) throw new Error(`an answer of ${bytes} bytes`);
}

/** @returns {() => Promise<number>} */
function grpcCall() {
  const folder = fileURLToPath(new URL('../../../proto/kserve/', import.meta.url));
  const root = new protobuf.Root();
  for (const file of ['model_config', 'inference']) {
    protobuf.parse(readFileSync(`${folder}${file}.proto`, 'utf8'), root, { keepCase: true });
  }
  const type = root.lookupType('inference.ModelInferRequest');
  const fields = { model_name: model, inputs: [input], raw_input_contents: [raw] };
  const message = Buffer.from(type.encode(type.fromObject(fields)).finish());
  const client = new Client(`unix:${path}`, credentials.createInsecure());
  const { requestSerialize, responseDeserialize } = echoMethod;
  const method =
    protocol === 'grpc' ? '/inference.GRPCInferenceService/ModelInfer' : echoMethod.path;
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method,
        requestSerialize,
        responseDeserialize,
        message,
        (error, reply) => {
          if (error === null) resolve(reply?.byteLength ?? 0);
          else reject(error);
        },
      );
    });
}

/** @returns {() => Promise<number>} */
function httpCall() {
  const parameters = { binary_data_output: true };
  const inputs = [{ ...input, parameters: { binary_data_size: raw.byteLength } }];
  const json = Buffer.from(JSON.stringify({ parameters, inputs }));
  const body = Buffer.concat([json, raw]);
  const options = {
    socketPath: path,
    method: 'POST',
    path: `/v2/models/${model}/infer`,
    agent: new Agent({ keepAlive: true }),
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': body.byteLength,
      'inference-header-content-length': json.byteLength,
    },
  };
  return () =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(options, (response) => {
        let bytes = 0;
        response.on('data', (/** @type {Buffer} */ piece) => {
          bytes += piece.byteLength;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(bytes);
          else reject(new Error(`status ${response.statusCode ?? 0}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
}
