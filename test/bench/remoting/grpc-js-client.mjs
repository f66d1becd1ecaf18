// node grpc-js-client.mjs SOCKET: echoes by unary calls of @grpc/grpc-js.
import { Client, credentials } from '@grpc/grpc-js';

import { serveEchoLoads } from './echo-load.mjs';
import { echoMethod } from './grpc-js-service.mjs';

const [path = ''] = process.argv.slice(2);
const client = new Client(`unix:${path}`, credentials.createInsecure());
const { path: method, requestSerialize, responseDeserialize } = echoMethod;

await serveEchoLoads((payload, done) => {
  client.makeUnaryRequest(
    method,
    requestSerialize,
    responseDeserialize,
    payload,
    (error, reply) => {
      done(error, reply ?? payload);
    },
  );
});
