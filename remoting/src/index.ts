export * from './generated/wire.js';
export type * from './wire/frames.js';
export { decodeFrame } from './wire/decode-frame.js';
export { FrameSplitter, RawFrame, type Side } from './wire/frame-splitter.js';
export { FrameWriter } from './wire/frame-writer.js';
export { WireError } from './wire/wire-error.js';
