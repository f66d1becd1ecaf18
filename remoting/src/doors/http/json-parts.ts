import { AxleError } from '@axle/core/internal';

import { jsonInlineBytesMax, jsonListsMax, jsonTextsMax, jsonValuesMax } from '../door-limits.js';

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openingList = 0x5b;
const openingObject = 0x7b;

/**
 * Counts the parts of what may be JSON, some of which cost far more to read than others in as many bytes.
 *
 * @throws AxleError RESOURCE_EXHAUSTED
 */
export function checkParts(bytes: Uint8Array): void {
  const { byteLength } = bytes;
  // So short, it costs little whatever it is made of.
  if (byteLength <= jsonInlineBytesMax) return;
  let lists = 0;
  let texts = 0;
  let commas = 0;
  for (let at = 0; at < byteLength; at += 1) {
    const byte = bytes[at];
    if (byte === quote) {
      texts += 1;
      for (at += 1; at < byteLength && bytes[at] !== quote; at += 1) {
        if (bytes[at] === backslash) at += 1;
      }
    } else if (byte === comma) commas += 1;
    else if (byte === openingList || byte === openingObject) lists += 1;
  }
  if (lists > jsonListsMax) throw tooMany(lists, 'lists and objects', jsonListsMax);
  if (commas >= jsonValuesMax) throw tooMany(commas + 1, 'values', jsonValuesMax);
  if (texts > jsonTextsMax) throw tooMany(texts, 'texts', jsonTextsMax);
}

function tooMany(count: number, what: string, max: number): AxleError {
  return new AxleError(
    'RESOURCE_EXHAUSTED',
    `the request has ${count} ${what} in JSON; ${max} are the most: send large tensors as binary data`,
    { retryable: false },
  );
}
