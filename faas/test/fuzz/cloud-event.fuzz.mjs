import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { attributesBytesMax, readStructuredEvent } from '../../dist/doors/cloud-event.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** @type {FuzzTarget} */
export const target = {
  about:
    'CloudEvents in structured mode: those that are taken become headers that HTTP has, and within their limit',
  run(bytes) {
    const text = bytes.toString();
    const event = onlyRefuses(() => readStructuredEvent(text));
    if (event === undefined) return;
    const said = /** @type {Record<string, unknown>} */ (JSON.parse(text));
    let headerBytes = 0;
    for (const [name, value] of Object.entries(event.attributes)) {
      ok(/^ce-[a-z0-9]{1,20}$/.test(name), 'a header was made that is none');
      ok(/^[\x21-\x7e]*$/.test(value), 'a value was made that headers cannot have');
      // A half of a character has no UTF-8: it becomes a mark.
      const attribute = String(said[name.slice('ce-'.length)]).toWellFormed();
      ok(decodeURIComponent(value) === attribute, 'an attribute became another');
      headerBytes += name.length + value.length;
    }
    ok(headerBytes <= attributesBytesMax + 64 * 'ce-'.length, 'more headers than are allowed');
    for (const name of ['specversion', 'id', 'source', 'type'])
      ok(Object.hasOwn(event.attributes, `ce-${name}`), 'an attribute that has to be there is not');
  },
  seeds: () => [
    '{"specversion":"1.0","id":"1","source":"/a","type":"t"}',
    '{"specversion":"1.0","id":"\u00e9 %","source":"/a","type":"t","n":7,"yes":true,"data":{"a":[1]}}',
    '{"specversion":"1.0","id":"1","source":"/a","type":"t","data_base64":"aGk=","datacontenttype":"text/plain"}',
    '{"specversion":"1.0","id":"1","source":"/a","type":"t","time":"2026-01-31T12:00:00.5+01:00","datacontenttype":"text/xml","data":"<a/>"}',
  ],
  dictionary: [
    ...[...'{}[]",:0123456789.%\\', 'null', 'true', '\\ud800', '\u00e9', '\\u0000', '__proto__'],
    ...['specversion', 'datacontenttype', 'data_base64', 'data', 'subject', 'time', '"1.0"'],
  ],
};
