import { jsonLine, textLine, type Log, type LogFormat } from '@axle/remoting';

import { printError } from './error-line.js';
import { oneLine } from './failure.js';

/** What a server tells its operator, on stderr. */
export class ServerLog {
  constructor(public format: LogFormat) {}

  /** Bound: it is handed on. */
  readonly write: Log = (message, fields) => {
    if (this.format === 'json') process.stderr.write(`${jsonLine(new Date(), message, fields)}\n`);
    else printError(oneLine(new Error(textLine(message, fields))));
  };
}
