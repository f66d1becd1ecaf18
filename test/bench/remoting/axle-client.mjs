// node axle-client.mjs WHERE: echoes through Axle's public API. WHERE: the URL of a server, or the path of the echo plugin
// for echoes in this process.
import '../no-telemetry.mjs';

import { connect } from 'axle';

import { serveEchoLoads } from './echo-load.mjs';

const [where = ''] = process.argv.slice(2);
const axle = where.startsWith('axle')
  ? await connect(where)
  : await connect({ plugins: [{ name: 'echo', path: where }] });

await serveEchoLoads((payload, done) => {
  axle
    .run('echo.axle/echo', { bytes: payload })
    .then(({ outputs }) => {
      done(null, /** @type {import('axle').Tensor} */ (outputs['bytes']).bytes);
    })
    .catch((/** @type {unknown} */ error) => {
      done(error, payload);
    });
});
