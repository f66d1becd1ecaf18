import { AxleError } from 'axle';

import type { FunctionCall, Headers } from '../calls/function-call.js';
import { wholeBody } from '../calls/whole-body.js';
import { parseObject, type Fields } from '../json-fields.js';
import { isTimestamp, isUriReference } from './cloud-event-types.js';
import { headerBytesMax } from './door-limits.js';

/** Of an event in structured mode, which is read as a whole. */
export const cloudEventBytesMax = 1024 * 1024;
const attributesMax = 64;
/** Of all attributes as headers, where a character may take nine times its room. */
export const attributesBytesMax = headerBytesMax;
const structured = 'application/cloudevents+json';
const batch = 'application/cloudevents-batch+json';
const required = ['id', 'source', 'type'] as const;
const specVersion = '1.0';
const attributeName = /^[a-z0-9]{1,20}$/;
const types = {
  source: { isOne: isUriReference, wanted: 'URI reference, such as /sensors/7 (RFC 3986)' },
  time: { isOne: isTimestamp, wanted: 'time such as 2026-01-31T12:00:00Z (RFC 3339)' },
};
const text = new TextDecoder('utf-8', { fatal: true });

/**
 * The rules of CloudEvents 1.0 over HTTP. An event in structured mode becomes the same event in binary mode, so that a
 * function finds attributes in `ce-` headers and the data in its body, whichever way it came. Other calls pass through.
 *
 * @throws AxleError INVALID_ARGUMENT for an event that is none; UNIMPLEMENTED for a batch.
 */
export async function fromCloudEvent(call: FunctionCall): Promise<FunctionCall> {
  const type = mediaTypeOf(call.headers['content-type']);
  if (type === structured) return toBinary(call);
  if (type === batch) {
    throw new AxleError(
      'UNIMPLEMENTED',
      'batches of CloudEvents are not taken; send each event by itself',
    );
  }
  if (call.headers['ce-specversion'] !== undefined) checkBinary(call.headers);
  return call;
}

function checkBinary(headers: Headers): void {
  checkVersion(headers['ce-specversion']);
  for (const name of required) {
    const value = headers[`ce-${name}`];
    if (typeof value !== 'string' || value === '')
      throw wrong(name, `is missing: give the header ce-${name}`);
  }
  checkTypes((name) => {
    const value = headers[`ce-${name}`];
    // Percents are of the header, or of the attribute itself: senders differ.
    return value === undefined ? [] : [String(value), decoded(String(value))];
  });
}

/** An event of structured mode as binary mode has it. */
export interface BinaryEvent {
  /** Headers, `ce-` and the name. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly data: Buffer;
  readonly contentType: string | undefined;
}

/** @throws AxleError INVALID_ARGUMENT for an event that is none, or whose attributes are over `attributesBytesMax`. */
export function readStructuredEvent(json: string): BinaryEvent {
  const event = parseObject(json, 'the CloudEvent');
  checkVersion(event['specversion']);
  for (const name of required) {
    if (typeof event[name] !== 'string' || event[name] === '')
      throw wrong(name, 'is missing, or no text');
  }
  checkTypes((name) => {
    const value = event[name];
    return value === undefined || value === null ? [] : [value];
  });
  return { attributes: attributeHeaders(event), ...dataOf(event) };
}

async function toBinary(call: FunctionCall): Promise<FunctionCall> {
  const { attributes, data, contentType } = readStructuredEvent(await wholeText(call.body));
  const headers: Record<string, string | readonly string[]> = {
    ...call.headers,
    ...attributes,
    'content-length': String(data.byteLength),
  };
  if (contentType === undefined) delete headers['content-type'];
  else headers['content-type'] = contentType;
  return { ...call, headers, body: data };
}

/** As HTTP's binding says: in UTF-8, with what headers cannot hold in percents. */
function attributeHeaders(event: Fields): Record<string, string> {
  const headers: Record<string, string> = {};
  let bytes = 0;
  const entries = Object.entries(event).filter(([name]) => !notAttributes.has(name));
  if (entries.length > attributesMax)
    throw wrong('extensions', `are ${entries.length}; ${attributesMax} are the most`);
  for (const [name, value] of entries) {
    if (!attributeName.test(name))
      throw wrong(name, 'is no name of an attribute: lower-case letters and digits');
    if (value === null) continue;
    if (typeof value !== 'string' && typeof value !== 'boolean' && typeof value !== 'number') {
      throw wrong(name, 'is no text, whole number or boolean');
    }
    const header = String(value).replace(/[^\x21\x23\x24\x26-\x7e]/gu, percentEncoded);
    headers[`ce-${name}`] = header;
    bytes += name.length + header.length;
    if (bytes > attributesBytesMax) {
      throw wrong(
        'attributes',
        `take more than ${attributesBytesMax} bytes as headers, the most; put what is long in its data`,
      );
    }
  }
  return headers;
}

const notAttributes = new Set(['data', 'data_base64', 'datacontenttype']);

function percentEncoded(character: string): string {
  return [...Buffer.from(character)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('');
}

function dataOf(event: Fields): { data: Buffer; contentType: string | undefined } {
  const { data, data_base64: base64, datacontenttype: said } = event;
  if (said !== undefined && (typeof said !== 'string' || !/^[\x20-\x7e]{1,256}$/.test(said))) {
    throw wrong('datacontenttype', 'is no media type');
  }
  if (base64 !== undefined) {
    if (data !== undefined) throw wrong('data', 'is there twice: as data and as data_base64');
    if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64))
      throw wrong('data_base64', 'is no base64');
    return { data: Buffer.from(base64, 'base64'), contentType: said };
  }
  if (data === undefined) return { data: Buffer.alloc(0), contentType: said };
  const isJson = said === undefined || /[/+]json\b/.test(said);
  const bytes = isJson || typeof data !== 'string' ? JSON.stringify(data) : data;
  return { data: Buffer.from(bytes), contentType: said ?? 'application/json' };
}

/** @param readingsOf an attribute, one of which has to be right; none: it is not there */
function checkTypes(readingsOf: (name: string) => readonly unknown[]): void {
  for (const [name, { isOne, wanted }] of Object.entries(types)) {
    const readings = readingsOf(name);
    if (readings.length > 0 && !readings.some((value) => typeof value === 'string' && isOne(value)))
      throw wrong(name, `is no ${wanted}`);
  }
}

function decoded(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}

function checkVersion(version: unknown): void {
  if (version !== specVersion) throw wrong('specversion', `is to be ${specVersion}`);
}

async function wholeText(body: FunctionCall['body']): Promise<string> {
  const bytes = await wholeBody(body, cloudEventBytesMax, 'a CloudEvent in structured mode');
  try {
    return text.decode(bytes);
  } catch {
    throw new AxleError('INVALID_ARGUMENT', 'the CloudEvent is no UTF-8');
  }
}

function mediaTypeOf(header: string | readonly string[] | undefined): string {
  const [first = ''] = [header ?? ''].flat();
  return (first.split(';')[0] as string).trim().toLowerCase();
}

function wrong(attribute: string, what: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', `the CloudEvent's ${attribute.slice(0, 100)} ${what}`);
}
