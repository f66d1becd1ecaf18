export * from './generated/wire.js';
export type * from './wire/frames.js';
export { decodeFrame } from './wire/decode-frame.js';
export { FrameSplitter, RawFrame, type Side } from './wire/frame-splitter.js';
export { FrameWriter } from './wire/frame-writer.js';
export { WireError } from './wire/wire-error.js';
export { connectBackend, connectRemote } from './client/connect-remote.js';
export { readListenSpec, type ListenSpec } from './server/listen-spec.js';
export { Server, type ServerOptions, type ServerUsage } from './server/server.js';
