import { createHash } from 'node:crypto';

import type { BindFrame, DataFrame, ModelFrame } from '@axle/remoting';

import { bindCompress } from './raw-peer.js';

/** Files of a model by name. */
export type ModelFiles = Readonly<Record<string, Uint8Array>>;

export interface RawModel {
  readonly manifest: Buffer;
  readonly content: Buffer;
  readonly contentId: Buffer;
}

export function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

/** A model as PROTOCOL.md section 9 has it, manifest and content. */
export function rawModel(files: ModelFiles): RawModel {
  const names = Object.keys(files).sort();
  const of = (name: string) => files[name] as Uint8Array;
  const lines = names.map(
    (name) => `${sha256(of(name)).toString('hex')} ${of(name).byteLength} ${name}\n`,
  );
  return rawModelWith(lines.join(''), Buffer.concat(names.map(of)));
}

/** With a manifest that says anything. */
export function rawModelWith(text: string, content: Buffer): RawModel {
  const manifest = Buffer.from(text);
  return { manifest, content, contentId: sha256(manifest) };
}

/** MODEL, without what follows it. */
export function modelFrame(
  id: number,
  { manifest, content, contentId }: RawModel,
  changes: Partial<ModelFrame> = {},
): ModelFrame {
  return {
    type: 'MODEL',
    id,
    manifest: true,
    content: false,
    named: false,
    contentId,
    bytes: content.byteLength,
    manifestBytes: manifest.byteLength,
    name: 'raw',
    format: 'onnx',
    entry: 'model.onnx',
    ...changes,
  };
}

export function namedFrame(id: number, name: string): ModelFrame {
  const contentId = Buffer.alloc(32);
  const nothing = { manifest: Buffer.alloc(0), content: Buffer.alloc(0), contentId };
  const named = { manifest: false, named: true, format: '', entry: '' };
  return modelFrame(id, nothing, { ...named, name });
}

/** The bytes of a handle, cut as the wire wants them. */
export function dataFrames(id: number, bytes: Uint8Array): DataFrame[] {
  const frames: DataFrame[] = [];
  for (let at = 0; at < bytes.byteLength; at += 65528) {
    frames.push({ type: 'DATA', id, end: false, data: bytes.subarray(at, at + 65528) });
  }
  return frames;
}

/** infer with a model. */
export function bindInfer(id: number, model: number, changes: Partial<BindFrame> = {}): BindFrame {
  return bindCompress(id, { op: 3, args: [], model, inputNames: ['x'], ...changes });
}
