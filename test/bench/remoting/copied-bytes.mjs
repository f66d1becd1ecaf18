// node --import copied-bytes.mjs: for each line on standard input, prints how many bytes the process has copied between
// memory that it shares and its own so far.
import { createInterface } from 'node:readline';

import { copiedBytes } from '@axle/core/internal';

createInterface(process.stdin).on('line', () => {
  console.log(copiedBytes.total);
});
