import protobuf from 'protobufjs/minimal.js';

/**
 * An ONNX model y = x * w * w * ..., f32 [batch, side] -> [batch, side], its field numbers those of onnx.proto.
 *
 * @param {number} side
 * @param {number} layers
 */
export function matMulModel(side, layers) {
  const graph = protobuf.Writer.create();
  for (let i = 0; i < layers; i++) {
    const from = i === 0 ? 'x' : `h${i}`;
    const to = i === layers - 1 ? 'y' : `h${i + 1}`;
    const node = text(
      text(text(text(protobuf.Writer.create(), 1, from), 1, 'w'), 2, to),
      4,
      'MatMul',
    );
    nested(graph, 1, node);
  }
  text(graph, 2, 'slow');
  const weights = new Float32Array(side * side).fill(1 / side);
  const tensor = protobuf.Writer.create();
  for (let i = 0; i < 2; i++) tensor.uint32(tag(1, 0)).int64(side);
  tensor.uint32(tag(2, 0)).int32(1);
  text(tensor, 8, 'w').uint32(tag(9, 2)).bytes(new Uint8Array(weights.buffer));
  nested(graph, 5, tensor);
  nested(graph, 11, value('x', side));
  nested(graph, 12, value('y', side));
  const opset = text(protobuf.Writer.create(), 1, '').uint32(tag(2, 0)).int64(13);
  const model = protobuf.Writer.create().uint32(tag(1, 0)).int64(8);
  nested(model, 7, graph);
  nested(model, 8, opset);
  return model.finish();
}

/**
 * @param {string} name
 * @param {number} side
 */
function value(name, side) {
  const dims = protobuf.Writer.create();
  nested(dims, 1, text(protobuf.Writer.create(), 2, 'batch'));
  nested(dims, 1, protobuf.Writer.create().uint32(tag(1, 0)).int64(side));
  const tensorType = protobuf.Writer.create().uint32(tag(1, 0)).int32(1);
  nested(tensorType, 2, dims);
  const type = protobuf.Writer.create();
  nested(type, 1, tensorType);
  const info = text(protobuf.Writer.create(), 1, name);
  nested(info, 2, type);
  return info;
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
function nested(into, field, message) {
  into.uint32(tag(field, 2)).bytes(message.finish());
}

/**
 * @param {protobuf.Writer} into
 * @param {number} field
 * @param {string} string
 */
function text(into, field, string) {
  return into.uint32(tag(field, 2)).string(string);
}
