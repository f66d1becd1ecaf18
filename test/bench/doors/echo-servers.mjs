// node echo-servers.mjs GRPC HTTP: give every message and body back, on two sockets, with nothing of ours.
import { createServer } from 'node:http';

import { Server, ServerCredentials } from '@grpc/grpc-js';

import { echoMethod } from '../remoting/grpc-js-service.mjs';

const [grpcPath = '', httpPath = ''] = process.argv.slice(2);
const grpc = new Server();
grpc.addService(
  { call: echoMethod },
  {
    /** @type {import('@grpc/grpc-js').handleUnaryCall<Buffer, Buffer>} */
    call: ({ request }, done) => {
      done(null, Buffer.from(request));
    },
  },
);
const http = createServer((request, response) => {
  /** @type {Buffer[]} */
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    response.end(Buffer.concat(pieces));
  });
});
grpc.bindAsync(`unix:${grpcPath}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  http.listen(httpPath, () => {
    console.log('ready');
  });
});
