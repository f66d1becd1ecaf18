import protobuf from 'protobufjs/minimal.js';

/** onnx.TensorProto.DataType, by name (onnx.proto). */
export const onnxType = { FP32: 1, INT32: 6, INT64: 7, FP16: 10, FP64: 11, BF16: 16 } as const;
export type OnnxTypeName = keyof typeof onnxType;

/** An input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxTypeName;
  /** A string is a symbolic size. */
  readonly shape: readonly (number | string)[];
}

/** FP32. */
export interface OnnxWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** In the model itself, or the file that holds it, as the model names it. */
  readonly data: Float32Array | string;
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly {
    readonly operator: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  readonly weights?: readonly OnnxWeight[];
}

const irVersion = 8;
const opsetVersion = 13;
const varint = 0;
const lengthDelimited = 2;
/** onnx.TensorProto.DataLocation EXTERNAL. */
const external = 1;

/** The bytes of a small ONNX model; fields are numbered as in onnx.proto. */
export function writeOnnx({ inputs, outputs, nodes, weights = [] }: OnnxGraph): Uint8Array {
  const graph = protobuf.Writer.create();
  for (const node of nodes) nested(graph, 1, writeNode(node));
  text(graph, 2, 'axle-plugin-check');
  for (const weight of weights) nested(graph, 5, writeWeight(weight));
  for (const input of inputs) nested(graph, 11, writeValue(input));
  for (const output of outputs) nested(graph, 12, writeValue(output));

  const opset = protobuf.Writer.create();
  text(opset, 1, '');
  number(opset, 2, opsetVersion);
  const model = protobuf.Writer.create();
  number(model, 1, irVersion);
  nested(model, 7, graph);
  nested(model, 8, opset);
  return model.finish();
}

function writeNode({ operator, inputs, outputs }: OnnxGraph['nodes'][number]): protobuf.Writer {
  const node = protobuf.Writer.create();
  for (const input of inputs) text(node, 1, input);
  for (const output of outputs) text(node, 2, output);
  return text(node, 4, operator);
}

function writeWeight({ name, shape, data }: OnnxWeight): protobuf.Writer {
  const tensor = protobuf.Writer.create();
  for (const size of shape) number(tensor, 1, size);
  number(tensor, 2, onnxType.FP32);
  text(tensor, 8, name);
  if (typeof data !== 'string') {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    tensor.uint32(tag(9, lengthDelimited)).bytes(bytes);
    return tensor;
  }
  const entry = protobuf.Writer.create();
  text(entry, 1, 'location');
  text(entry, 2, data);
  nested(tensor, 13, entry);
  return number(tensor, 14, external);
}

function writeValue({ name, type, shape }: OnnxValue): protobuf.Writer {
  const dims = protobuf.Writer.create();
  for (const size of shape) {
    const dim = protobuf.Writer.create();
    if (typeof size === 'number') number(dim, 1, size);
    else text(dim, 2, size);
    nested(dims, 1, dim);
  }
  const tensorType = protobuf.Writer.create();
  number(tensorType, 1, onnxType[type]);
  nested(tensorType, 2, dims);
  const valueType = protobuf.Writer.create();
  nested(valueType, 1, tensorType);
  const value = protobuf.Writer.create();
  text(value, 1, name);
  return nested(value, 2, valueType);
}

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

function number(into: protobuf.Writer, field: number, value: number): protobuf.Writer {
  return into.uint32(tag(field, varint)).int64(value);
}

function text(into: protobuf.Writer, field: number, value: string): protobuf.Writer {
  return into.uint32(tag(field, lengthDelimited)).string(value);
}

function nested(into: protobuf.Writer, field: number, message: protobuf.Writer): protobuf.Writer {
  return into.uint32(tag(field, lengthDelimited)).bytes(message.finish());
}
