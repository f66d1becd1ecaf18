import protobuf from 'protobufjs/minimal.js';

/** onnx.TensorProto.DataType FLOAT. */
const float = 1;

interface OnnxValue {
  readonly name: string;
  /** A string is a symbolic size. */
  readonly shape: readonly (number | string)[];
  readonly elementType?: number;
}

interface OnnxModelOptions {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Operator type, inputs, outputs. */
  readonly nodes: readonly (readonly [string, readonly string[], readonly string[]])[];
  readonly weights?: readonly OnnxWeight[];
}

interface OnnxWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data?: Float32Array;
  /** File that holds the data, as the model names it. */
  readonly location?: string;
}

/** Writes small real ONNX files for tests, field by field as onnx.proto numbers them (IR 8, opset 13). */
export function onnxModel(options: OnnxModelOptions): Uint8Array {
  const graph = protobuf.Writer.create();
  for (const node of options.nodes) writeNested(graph, 1, writeNode(...node));
  graph.uint32(tag(2, 2)).string('test');
  for (const weight of options.weights ?? []) writeNested(graph, 5, writeWeight(weight));
  for (const input of options.inputs) writeNested(graph, 11, writeValue(input));
  for (const output of options.outputs) writeNested(graph, 12, writeValue(output));

  const model = protobuf.Writer.create();
  model.uint32(tag(1, 0)).int64(8);
  writeNested(model, 7, graph);
  const opset = protobuf.Writer.create();
  opset.uint32(tag(1, 2)).string('').uint32(tag(2, 0)).int64(13);
  writeNested(model, 8, opset);
  return model.finish();
}

/** y = x + w, with w of `shape` in another file when `location` is given. */
export function addModel(
  shape: readonly number[],
  weight: Omit<OnnxWeight, 'name' | 'shape'>,
): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', shape: ['batch', ...shape] }],
    outputs: [{ name: 'y', shape: ['batch', ...shape] }],
    nodes: [['Add', ['x', 'w'], ['y']]],
    weights: [{ name: 'w', shape, ...weight }],
  });
}

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

function writeNested(into: protobuf.Writer, field: number, nested: protobuf.Writer): void {
  into.uint32(tag(field, 2)).bytes(nested.finish());
}

function writeNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
): protobuf.Writer {
  const node = protobuf.Writer.create();
  for (const input of inputs) node.uint32(tag(1, 2)).string(input);
  for (const output of outputs) node.uint32(tag(2, 2)).string(output);
  return node.uint32(tag(4, 2)).string(op);
}

function writeWeight({ name, shape, data, location }: OnnxWeight): protobuf.Writer {
  const tensor = protobuf.Writer.create();
  for (const size of shape) tensor.uint32(tag(1, 0)).int64(size);
  tensor.uint32(tag(2, 0)).int32(float).uint32(tag(8, 2)).string(name);
  if (data !== undefined) {
    tensor.uint32(tag(9, 2)).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  if (location !== undefined) {
    const entry = protobuf.Writer.create();
    entry.uint32(tag(1, 2)).string('location').uint32(tag(2, 2)).string(location);
    writeNested(tensor, 13, entry);
    tensor.uint32(tag(14, 0)).int32(1);
  }
  return tensor;
}

function writeValue({ name, shape, elementType = float }: OnnxValue): protobuf.Writer {
  const dims = protobuf.Writer.create();
  for (const size of shape) {
    const dim = protobuf.Writer.create();
    if (typeof size === 'number') dim.uint32(tag(1, 0)).int64(size);
    else dim.uint32(tag(2, 2)).string(size);
    writeNested(dims, 1, dim);
  }
  const tensorType = protobuf.Writer.create();
  tensorType.uint32(tag(1, 0)).int32(elementType);
  writeNested(tensorType, 2, dims);
  const type = protobuf.Writer.create();
  writeNested(type, 1, tensorType);
  const value = protobuf.Writer.create();
  value.uint32(tag(1, 2)).string(name);
  writeNested(value, 2, type);
  return value;
}
