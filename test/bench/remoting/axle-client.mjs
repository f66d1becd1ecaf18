// node axle-client.mjs WHERE [allocate]: echoes through Axle's public API. WHERE: the URL of a server, or the path of the
// echo plugin for echoes in this process. With `allocate`, payloads and replies lie in memory that Axle gave.
import '../no-telemetry.mjs';

import { connect } from 'axle';
import { copiedBytes } from '@axle/core/internal';

import { serveEchoLoads } from './echo-load.mjs';

const [where = '', memory] = process.argv.slice(2);
const axle = where.startsWith('axle')
  ? await connect(where)
  : await connect({ plugins: [{ name: 'echo', path: where }] });
const allocates = memory === 'allocate';

await serveEchoLoads(
  (payload, done, into) => {
    axle
      .run('echo.axle/echo', { bytes: payload }, allocates ? { into } : undefined)
      .then(({ outputs }) => {
        done(null, /** @type {import('axle').Tensor} */ (outputs['bytes']).bytes);
      })
      .catch((/** @type {unknown} */ error) => {
        done(error, payload);
      });
  },
  allocates ? (bytes) => axle.allocate(bytes) : undefined,
  () => copiedBytes.total,
);
