// What the fuzz target of axle/function.h begins with.

const SETUP = 1;
const CALL = 3;
const DATA = 4;
const CANCEL = 8;

/**
 * @param {number} type
 * @param {number} call
 * @param {Buffer} payload
 * @param {boolean} end
 */
function frame(type, call, payload, end) {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(payload.byteLength, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(end ? 1 : 0, 5);
  header.writeUInt32LE(call, 8);
  return Buffer.concat([header, payload]);
}

/**
 * @param {number} number
 * @param {string} body
 * @param {boolean} end
 */
function call(number, body, end) {
  const head = Buffer.from(JSON.stringify({ id: `call-${number}`, path: '/"' }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.byteLength);
  return frame(CALL, number, Buffer.concat([length, head, Buffer.from(body)]), end);
}

/**
 * A host as it should be, to functions with much and with little memory.
 *
 * @returns {Buffer[]}
 */
export function functionSeeds() {
  const told = Buffer.from(JSON.stringify({ secrets: { id: 'x' }, id: 'a\\"b' }));
  const said = Buffer.concat([
    frame(SETUP, 0, told.subarray(0, 5), false),
    frame(SETUP, 0, told.subarray(5), true),
    call(1, 'even', true),
    call(2, 'o', false),
    frame(DATA, 2, Buffer.from('dd'), true),
    call(3, '', false),
    frame(CANCEL, 3, Buffer.alloc(0), false),
    frame(DATA, 3, Buffer.from('late'), true),
    call(4, 'x'.repeat(300), true),
    call(5, 'well', true),
  ]);
  return [0x00, 0x0f, 0x31, 0xff].map((first) => Buffer.concat([Buffer.of(first), said]));
}
