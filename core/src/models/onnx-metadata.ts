import protobuf from 'protobufjs/minimal.js';

import type { TensorSpec } from '../backend.js';
import { AxleError, messageOf } from '../errors.js';
import type { DataTypeName } from '../generated/constants.js';

/** What an ONNX file says of itself, without its weights. */
export interface OnnxMetadata {
  /** Graph inputs that are no weights. Symbolic sizes are -1. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Files that hold weights outside this one, as the file names them. */
  readonly externalFiles: readonly string[];
}

/** onnx.TensorProto.DataType, by number (onnx.proto). */
const onnxTypes: Readonly<Record<number, DataTypeName>> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
  16: 'BF16',
};

const nestingMax = 64;

type FieldHandler = (reader: protobuf.Reader, wireType: number) => void;

/**
 * Reads only what is needed, skipping weights in place; field numbers are those of onnx.proto.
 *
 * @throws AxleError INVALID_ARGUMENT naming `fileName` when the bytes are no ONNX model, or use types that Axle has no
 * tensor for.
 */
export function readOnnxMetadata(bytes: Uint8Array, fileName: string): OnnxMetadata {
  const graph: GraphContents = { inputs: [], outputs: [], weights: new Set(), external: new Set() };
  let graphs = 0;
  try {
    readFields(protobuf.Reader.create(bytes), bytes.length, {
      7: (reader) => {
        graphs += 1;
        readGraph(reader, graph, 0);
      },
      25: (reader) => {
        readFunction(reader, graph);
      },
    });
  } catch (error) {
    if (error instanceof AxleError) throw error;
    throw notOnnx(fileName, messageOf(error));
  }
  if (graphs !== 1) throw notOnnx(fileName, 'it holds no graph');
  return {
    inputs: graph.inputs.filter((input) => !graph.weights.has(input.name)),
    outputs: graph.outputs,
    externalFiles: [...graph.external],
  };
}

function notOnnx(fileName: string, why: string): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `${fileName} is no ONNX model (${why}); give a file exported as ONNX, whole and not compressed`,
  );
}

interface GraphContents {
  readonly inputs: TensorSpec[];
  readonly outputs: TensorSpec[];
  readonly weights: Set<string>;
  readonly external: Set<string>;
}

/** Calls the handler of each field up to `end`; the others are skipped. */
function readFields(
  reader: protobuf.Reader,
  end: number,
  handlers: Readonly<Record<number, FieldHandler>>,
): void {
  if (end > reader.len) throw new Error('it is cut short');
  while (reader.pos < end) {
    const tag = reader.uint32();
    const handler = handlers[tag >>> 3];
    if (handler === undefined) reader.skipType(tag & 7);
    else handler(reader, tag & 7);
  }
  if (reader.pos !== end) throw new Error('a field passes the end of its message');
}

function readNested(
  reader: protobuf.Reader,
  handlers: Readonly<Record<number, FieldHandler>>,
): void {
  const length = reader.uint32();
  readFields(reader, reader.pos + length, handlers);
}

function readGraph(reader: protobuf.Reader, graph: GraphContents, depth: number): void {
  if (depth > nestingMax) throw new Error(`graphs nested deeper than ${nestingMax}`);
  const nested: GraphContents = { ...graph, inputs: [], outputs: [], weights: new Set() };
  readNested(reader, {
    1: (node) => {
      readNested(node, { 5: (attribute) => readAttribute(attribute, nested, depth) });
    },
    5: (tensor) => graph.weights.add(readTensor(tensor, graph)),
    11: (value) => graph.inputs.push(readValueInfo(value)),
    12: (value) => graph.outputs.push(readValueInfo(value)),
    15: (sparse) => {
      readNested(sparse, {
        1: (tensor) => graph.weights.add(readTensor(tensor, graph)),
        2: (tensor) => void readTensor(tensor, graph),
      });
    },
  });
}

/** A model's local functions hold nodes too, whose attributes may hold tensors. */
function readFunction(reader: protobuf.Reader, graph: GraphContents): void {
  const nested: GraphContents = { ...graph, inputs: [], outputs: [], weights: new Set() };
  readNested(reader, {
    7: (node) => {
      readNested(node, { 5: (attribute) => readAttribute(attribute, nested, 0) });
    },
  });
}

/** Attributes may hold tensors and whole graphs, which may name external files like any other. */
function readAttribute(reader: protobuf.Reader, graph: GraphContents, depth: number): void {
  readNested(reader, {
    5: (tensor) => void readTensor(tensor, graph),
    6: (inner) => {
      readGraph(inner, graph, depth + 1);
    },
    10: (tensor) => void readTensor(tensor, graph),
    11: (inner) => {
      readGraph(inner, graph, depth + 1);
    },
  });
}

/** Returns the tensor's name and notes the file that holds its data, if another. */
function readTensor(reader: protobuf.Reader, graph: GraphContents): string {
  let name = '';
  readNested(reader, {
    8: (field) => {
      name = field.string();
    },
    13: (entry) => {
      let key = '';
      let value = '';
      readNested(entry, {
        1: (field) => {
          key = field.string();
        },
        2: (field) => {
          value = field.string();
        },
      });
      if (key === 'location') graph.external.add(value);
    },
  });
  return name;
}

function readValueInfo(reader: protobuf.Reader): TensorSpec {
  let name = '';
  let elementType = 0;
  const shape: number[] = [];
  let ranked = false;
  readNested(reader, {
    1: (field) => {
      name = field.string();
    },
    2: (type) => {
      readNested(type, {
        1: (tensorType) => {
          readNested(tensorType, {
            1: (field) => {
              elementType = field.int32();
            },
            2: (dims) => {
              ranked = true;
              readNested(dims, { 1: (dim) => shape.push(readDimension(dim)) });
            },
          });
        },
      });
    },
  });
  const dtype = onnxTypes[elementType];
  if (dtype === undefined) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the model's tensor '${name}' has a type (ONNX ${elementType}) that Axle has no tensor for`,
    );
  }
  return ranked ? { name, dtype, shape } : { name, dtype, shape, anyRank: true };
}

/** -1 for any size, which exporters also write as some negative number. */
function readDimension(reader: protobuf.Reader): number {
  let size = -1;
  readNested(reader, {
    1: (field) => {
      size = Number(field.int64());
    },
  });
  if (size > Number.MAX_SAFE_INTEGER) throw new Error(`a dimension of ${size}`);
  return Math.max(size, -1);
}
