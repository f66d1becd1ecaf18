// node grpc-js-server.mjs SOCKET: gives every message back, over unary calls of @grpc/grpc-js.
import { Server, ServerCredentials } from '@grpc/grpc-js';

import { echoMethod } from './grpc-js-service.mjs';

const [path = ''] = process.argv.slice(2);
const server = new Server();
server.addService(
  { call: echoMethod },
  {
    /** @type {import('@grpc/grpc-js').handleUnaryCall<Buffer, Buffer>} */
    call: ({ request }, done) => {
      done(null, Buffer.from(request));
    },
  },
);
server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  console.log('ready');
});
