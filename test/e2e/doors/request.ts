/** A request as the specification of KServe v2 writes it, before a protocol writes it down. */
export interface Request {
  readonly model: string;
  readonly version?: string;
  readonly id?: string;
  readonly parameters?: Readonly<Record<string, boolean | number | string>>;
  readonly inputs: readonly Input[];
  readonly outputs?: readonly Output[];
}

export interface Input {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** As numbers, booleans or text; INT64 and UINT64 as bigint, FP16 and BF16 as bits. */
  readonly values: readonly Value[];
  /** In place of what the values are in raw form. */
  readonly raw?: Uint8Array;
}

export interface Output {
  readonly name: string;
  readonly parameters?: Readonly<Record<string, boolean | number>>;
}

export type Value = number | bigint | boolean | string;

export interface Answer {
  readonly model: string;
  readonly version: string;
  readonly id: string;
  readonly outputs: readonly AnsweredOutput[];
}

export interface AnsweredOutput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly values: readonly Value[];
}

/** What came back in place of an answer. */
export class Refusal extends Error {
  constructor(
    /** Of the registry. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A way to ask: a protocol, and a form of the tensors. */
export interface Door {
  infer(request: Request): Promise<Answer>;
  modelMetadata(name: string, version?: string): Promise<Metadata>;
  modelReady(name: string, version?: string): Promise<boolean>;
  close(): void;
}

export interface Metadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
}

interface Form {
  readonly bytes: number;
  put(view: DataView, at: number, value: never): void;
  get(view: DataView, at: number): Value;
}

const forms: Readonly<Record<string, Form>> = {
  BOOL: {
    bytes: 1,
    put: (view, at, value: boolean) => {
      view.setUint8(at, value ? 1 : 0);
    },
    get: (view, at) => view.getUint8(at) === 1,
  },
  UINT8: number(1, 'Uint8'),
  UINT16: number(2, 'Uint16'),
  UINT32: number(4, 'Uint32'),
  UINT64: number(8, 'BigUint64'),
  INT8: number(1, 'Int8'),
  INT16: number(2, 'Int16'),
  INT32: number(4, 'Int32'),
  INT64: number(8, 'BigInt64'),
  FP16: number(2, 'Uint16'),
  BF16: number(2, 'Uint16'),
  FP32: number(4, 'Float32'),
  FP64: number(8, 'Float64'),
};

type NumberName =
  | 'Uint8'
  | 'Uint16'
  | 'Uint32'
  | 'BigUint64'
  | 'Int8'
  | 'Int16'
  | 'Int32'
  | 'BigInt64'
  | 'Float32'
  | 'Float64';

function number(bytes: number, name: NumberName): Form {
  return {
    bytes,
    put: (view, at, value) => {
      view[`set${name}`](at, value, true);
    },
    get: (view, at) => view[`get${name}`](at, true),
  };
}

/** Little-endian, row-major, without padding; text with its length before it. */
export function rawOf({ datatype, values, raw }: Input): Buffer {
  if (raw !== undefined) return Buffer.from(raw);
  if (datatype === 'BYTES') {
    return Buffer.concat(
      values.flatMap((value) => {
        const text = Buffer.from(String(value));
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text.byteLength);
        return [length, text];
      }),
    );
  }
  const { bytes, put } = forms[datatype] ?? number(1, 'Uint8');
  const all = Buffer.alloc(bytes * values.length);
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  values.forEach((value, index) => {
    put(view, index * bytes, value as never);
  });
  return all;
}

export function valuesOf(datatype: string, raw: Uint8Array): Value[] {
  const bytes = Buffer.from(raw);
  const values: Value[] = [];
  if (datatype === 'BYTES') {
    for (let at = 0; at < bytes.byteLength;) {
      const length = bytes.readUInt32LE(at);
      values.push(bytes.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    }
    return values;
  }
  const form = forms[datatype] as Form;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += form.bytes) values.push(form.get(view, at));
  return values;
}
