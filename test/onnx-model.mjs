// Writes small real ONNX files for tests and benches, field by field as onnx.proto numbers them (IR 8, opset 13).
import protobuf from 'protobufjs/minimal.js';

/** onnx.TensorProto.DataType FLOAT. */
const FLOAT = 1;
/** onnx.TensorProto.DataType INT64. */
const INT64 = 7;
const opsetDefault = 13;

/**
 * @typedef {object} OnnxValue
 * @property {string} name
 * @property {readonly (number | string)[]} [shape] a string is a symbolic size; none = any rank
 * @property {number} [elementType] onnx.TensorProto.DataType; default FLOAT
 */

/**
 * A whole number is an INT, a list of them INTS.
 *
 * @typedef {Readonly<Record<string, number | string | readonly number[] | { readonly float: number }>>} OnnxAttributes
 */

/**
 * @typedef {readonly [operator: string, inputs: readonly string[], outputs: readonly string[], attributes?: OnnxAttributes]} OnnxNode
 */

/**
 * @typedef {object} OnnxWeight FP32, or INT64
 * @property {string} name
 * @property {readonly number[]} shape
 * @property {readonly number[]} [integers]
 * @property {Float32Array} [data]
 * @property {string} [location] file that holds the data, as the model names it
 */

/**
 * @typedef {object} OnnxGraph
 * @property {readonly OnnxValue[]} inputs
 * @property {readonly OnnxValue[]} outputs
 * @property {readonly OnnxNode[]} nodes
 * @property {readonly OnnxWeight[]} [weights]
 * @property {number} [opset] default 13
 */

/**
 * @param {OnnxGraph} contents
 * @returns {Uint8Array}
 */
export function onnxModel({ inputs, outputs, nodes, weights = [], opset = opsetDefault }) {
  const graph = protobuf.Writer.create();
  for (const node of nodes) writeNested(graph, 1, writeNode(...node));
  graph.uint32(tag(2, 2)).string('test');
  for (const weight of weights) writeNested(graph, 5, writeWeight(weight));
  for (const input of inputs) writeNested(graph, 11, writeValue(input));
  for (const output of outputs) writeNested(graph, 12, writeValue(output));

  const operators = protobuf.Writer.create();
  operators.uint32(tag(1, 2)).string('').uint32(tag(2, 0)).int64(opset);
  const model = protobuf.Writer.create();
  model.uint32(tag(1, 0)).int64(8);
  writeNested(model, 7, graph);
  writeNested(model, 8, operators);
  return model.finish();
}

/**
 * y = x + w, x and y being [batch, ...shape].
 *
 * @param {readonly number[]} shape of w
 * @param {Omit<OnnxWeight, 'name' | 'shape'>} weight
 */
export function addModel(shape, weight) {
  return onnxModel({
    inputs: [{ name: 'x', shape: ['batch', ...shape] }],
    outputs: [{ name: 'y', shape: ['batch', ...shape] }],
    nodes: [['Add', ['x', 'w'], ['y']]],
    weights: [{ name: 'w', shape, ...weight }],
  });
}

/**
 * y = x * w * w * ..., x and y being [batch, side].
 *
 * @param {number} side
 * @param {number} layers
 */
export function matMulModel(side, layers) {
  /** @type {OnnxGraph['nodes'][number][]} */
  const nodes = [];
  for (let i = 0; i < layers; i++) {
    nodes.push(['MatMul', [i === 0 ? 'x' : `h${i}`, 'w'], [i === layers - 1 ? 'y' : `h${i + 1}`]]);
  }
  return onnxModel({
    inputs: [{ name: 'x', shape: ['batch', side] }],
    outputs: [{ name: 'y', shape: ['batch', side] }],
    nodes,
    weights: [
      { name: 'w', shape: [side, side], data: new Float32Array(side * side).fill(1 / side) },
    ],
  });
}

/**
 * y = relu(relu(x * w0) * w1) * ..., x being [batch, first width] and y [batch, last width]. Weights are so large that what
 * comes out of a layer is about as large as what goes in.
 *
 * @param {readonly number[]} widths
 * @param {() => number} random from 0 to 1
 */
export function layeredModel(widths, random) {
  const layers = widths.length - 1;
  /** @type {OnnxGraph['nodes'][number][]} */
  const nodes = [];
  /** @type {OnnxWeight[]} */
  const weights = [];
  for (let i = 0; i < layers; i++) {
    const shape = widths.slice(i, i + 2);
    const [from = 0, to = 0] = shape;
    const most = Math.sqrt(6 / from);
    const data = Float32Array.from({ length: from * to }, () => most * (2 * random() - 1));
    weights.push({ name: `w${i}`, shape, data });
    const isLast = i === layers - 1;
    nodes.push(['MatMul', [i === 0 ? 'x' : `h${i}`, `w${i}`], [isLast ? 'y' : `m${i}`]]);
    if (!isLast) nodes.push(['Relu', [`m${i}`], [`h${i + 1}`]]);
  }
  return onnxModel({
    inputs: [{ name: 'x', shape: ['batch', widths[0] ?? 0] }],
    outputs: [{ name: 'y', shape: ['batch', widths[layers] ?? 0] }],
    nodes,
    weights,
  });
}

/**
 * @param {number} field
 * @param {number} wireType
 */
function tag(field, wireType) {
  return (field << 3) | wireType;
}

/**
 * @param {protobuf.Writer} into
 * @param {number} field
 * @param {protobuf.Writer} message
 */
function writeNested(into, field, message) {
  into.uint32(tag(field, 2)).bytes(message.finish());
}

/**
 * @param {string} operator
 * @param {readonly string[]} inputs
 * @param {readonly string[]} outputs
 * @param {OnnxAttributes} [attributes]
 */
function writeNode(operator, inputs, outputs, attributes = {}) {
  const node = protobuf.Writer.create();
  for (const input of inputs) node.uint32(tag(1, 2)).string(input);
  for (const output of outputs) node.uint32(tag(2, 2)).string(output);
  node.uint32(tag(4, 2)).string(operator);
  for (const [name, value] of Object.entries(attributes)) {
    writeNested(node, 5, writeAttribute(name, value));
  }
  return node;
}

/**
 * @param {string} name
 * @param {OnnxAttributes[string]} value
 */
function writeAttribute(name, value) {
  const attribute = protobuf.Writer.create();
  attribute.uint32(tag(1, 2)).string(name);
  /** @param {number} type onnx.AttributeProto.AttributeType */
  const typed = (type) => attribute.uint32(tag(20, 0)).int32(type);
  if (typeof value === 'number') return typed(2).uint32(tag(3, 0)).int64(value);
  if (typeof value === 'string') return typed(3).uint32(tag(4, 2)).string(value);
  if ('float' in value) return typed(1).uint32(tag(2, 5)).float(value.float);
  for (const one of value) attribute.uint32(tag(8, 0)).int64(one);
  return typed(7);
}

/** @param {OnnxWeight} weight */
function writeWeight({ name, shape, data, location, integers }) {
  const tensor = protobuf.Writer.create();
  for (const size of shape) tensor.uint32(tag(1, 0)).int64(size);
  tensor.uint32(tag(2, 0)).int32(integers === undefined ? FLOAT : INT64);
  tensor.uint32(tag(8, 2)).string(name);
  for (const integer of integers ?? []) tensor.uint32(tag(7, 0)).int64(integer);
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

/** @param {OnnxValue} value */
function writeValue({ name, shape, elementType = FLOAT }) {
  const dims = protobuf.Writer.create();
  for (const size of shape ?? []) {
    const dim = protobuf.Writer.create();
    if (typeof size === 'number') dim.uint32(tag(1, 0)).int64(size);
    else dim.uint32(tag(2, 2)).string(size);
    writeNested(dims, 1, dim);
  }
  const tensorType = protobuf.Writer.create();
  tensorType.uint32(tag(1, 0)).int32(elementType);
  if (shape !== undefined) writeNested(tensorType, 2, dims);
  const type = protobuf.Writer.create();
  writeNested(type, 1, tensorType);
  const value = protobuf.Writer.create();
  value.uint32(tag(1, 2)).string(name);
  writeNested(value, 2, type);
  return value;
}
