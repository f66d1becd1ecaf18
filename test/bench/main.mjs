// npm run bench [-- NAME...] [--json]: figures beside a peer or a floor measured in the same run.
import './no-telemetry.mjs';

import { parseArgs } from 'node:util';

import { benchBatching } from './batching.mjs';
import { benchClassify } from './classify.mjs';
import { benchCompress } from './compress.mjs';
import { benchCuda } from './cuda.mjs';
import { benchDispatch } from './dispatch.mjs';
import { benchDoors } from './doors.mjs';
import { benchFaas } from './faas.mjs';
import { benchGuest } from './guest.mjs';
import { benchPool } from './pool.mjs';
import { benchRemoting } from './remoting.mjs';
import { formatTable } from './table.mjs';

/** @typedef {import('./row.mjs').Row} Row */

/** @type {Readonly<Record<string, (progress: (line: string) => void, only: string) => Promise<Row[]>>>} */
const BENCHES = {
  classify: benchClassify,
  compress: benchCompress,
  cuda: benchCuda,
  dispatch: benchDispatch,
  batching: benchBatching,
  remoting: benchRemoting,
  doors: benchDoors,
  faas: benchFaas,
  guest: benchGuest,
  pool: benchPool,
};

const usage = `npm run bench -- [NAME...] [--only CASE] [--json]
  NAME    ${Object.keys(BENCHES).join(', ')}; all by default
  --only  of compress, remoting, doors, faas, guest and pool, the cases whose name holds this text: zstd, gzip-6; 64 B, one core; REST; warm; fairness
  --json  print one array of rows {bench, case, unit, value, peer, peerValue, ratio, goal, met}
ratio is written so that higher is better; goal is the ratio asked for (null: for information).`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const unknown = positionals.filter((name) => !(name in BENCHES));
if (values.help || unknown.length > 0) {
  console.error(unknown.length > 0 ? `no bench named ${unknown.join(', ')}\n${usage}` : usage);
  process.exit(values.help ? 0 : 2);
}

const rows = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(BENCHES)) {
  const bench = BENCHES[name];
  if (bench === undefined) continue;
  rows.push(
    ...(await bench((line) => process.stderr.write(`bench ${name}: ${line}\n`), values.only)),
  );
}
process.stdout.write(values.json ? `${JSON.stringify(rows, null, 2)}\n` : formatTable(rows));
