import {
  CallFlag,
  DataFlag,
  FRAME_RULES,
  FrameType,
  wireLimits,
  type FrameTypeName,
} from '../generated/wire.js';
import type { CallFrame, DataFrame, Frame, PutFrame, ResultFrame, WireTensor } from './frames.js';
import { isDeviceIndex, writeFields, type Fields, type Layout } from './layout.js';
import { layouts } from './layouts.js';
import { headerBytes, padded, writeUint64 } from './numbers.js';
import { PayloadWriter } from './payload-writer.js';
import { writeFallback, writeStep } from './records.js';
import { allowsSource, writeTensor } from './tensors.js';
import { writePlace, writeTrace } from './trace-and-place.js';

/** Frames are gathered in pieces of memory of this size, each used once; a part as long as the longest frame is lost. */
const slabBytes = 512 * 1024;

/** Data of this size is not copied but handed on where it lies. */
const referenceBytesMin = 16 * 1024;

const zeros = Buffer.alloc(8);

/** By type: whether the id of a frame may be 0, and whether it may be another number. */
const allowsZeroId: boolean[] = [];
const allowsId: boolean[] = [];
for (const name of Object.keys(FrameType) as FrameTypeName[]) {
  const { names } = FRAME_RULES[name];
  allowsZeroId[FrameType[name]] = names !== 'new' && names !== 'handle';
  allowsId[FrameType[name]] = names !== 'zero';
}

/**
 * Writes frames one after another, to be sent together. What it throws leaves the frames before untouched, and nothing of
 * the frame at fault.
 */
export class FrameWriter {
  private readonly payload = new PayloadWriter();
  private slab = Buffer.alloc(0);
  private view = new DataView(new ArrayBuffer(0));
  /** Of the slab: what was not taken yet begins here, and ends at `end`. */
  private start = 0;
  private end = 0;
  private parts: Uint8Array[] = [];
  private partBytes = 0;

  /** @param payloadBytesMax what the other side takes */
  constructor(private readonly payloadBytesMax: number = wireLimits.payloadBytesMax) {}

  /** Bytes that were written and not taken. */
  get pendingBytes(): number {
    return this.partBytes + this.end - this.start;
  }

  /** All that was written since the last call, in order. The pieces are the caller's from now on. */
  take(): Uint8Array[] {
    this.closePart();
    const { parts } = this;
    this.parts = [];
    this.partBytes = 0;
    return parts;
  }

  /** @throws WireError for what the other side would refuse. */
  write(frame: Frame): void {
    switch (frame.type) {
      case 'CALL':
        this.writeCall(frame);
        break;
      case 'RESULT':
        this.writeResult(frame);
        break;
      case 'DATA':
        this.writeData(frame);
        break;
      case 'PUT':
        this.writePut(frame);
        break;
      default:
        this.writeByLayout(frame, layouts[frame.type] as unknown as Layout);
    }
  }

  /** Frames that were written elsewhere, as they are; at most half a slab of them. They are copied. */
  writeFrames(frames: Uint8Array): void {
    if (this.slab.length - this.end < frames.byteLength) this.newSlab();
    this.slab.set(frames, this.end);
    this.end += frames.byteLength;
  }

  /**
   * A CALL without flags, with the payload of one that was read and found well-formed. It is copied.
   *
   * @param end no further from `start` than the longest payload that the other side takes
   */
  writeCallAsCame(
    id: number,
    binding: number,
    memory: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.begin('CALL');
    const at = this.end + headerBytes;
    this.slab.set(memory.subarray(start, end), at);
    writeUint64(this.view, at, binding);
    this.finish(FrameType.CALL, 0, 0, id, end - start);
  }

  writeCall(call: CallFrame): void {
    const payload = this.begin('CALL');
    const { place, trace, inputs, priority } = call;
    if (call.binding === 0) payload.fail('BAD_VALUE', 'binding');
    if (!Number.isInteger(priority) || Math.abs(priority) > wireLimits.priorityMax) {
      payload.fail('BAD_VALUE', 'priority');
    }
    payload.u64(call.binding, 'binding');
    payload.u32(call.deadlineUs, 'deadlineUs');
    payload.i8(priority);
    payload.u8(0, '');
    payload.u16(inputs.length, 'inputs');
    if (place !== undefined) writePlace(payload, place);
    if (trace !== undefined) writeTrace(payload, trace);
    this.writeTensors(inputs, false);
    const flags =
      (call.keep ? CallFlag.KEEP : 0) |
      (call.omit ? CallFlag.OMIT : 0) |
      (call.replay ? CallFlag.REPLAY : 0) |
      (place === undefined ? 0 : CallFlag.PLACE) |
      (trace === undefined ? 0 : CallFlag.TRACE);
    this.finish(FrameType.CALL, flags, 0, call.id);
  }

  writeResult(result: ResultFrame): void {
    const payload = this.begin('RESULT');
    const { outputs, steps, fallbacks, batchSize, device } = result;
    if (batchSize === 0) payload.fail('BAD_VALUE', 'batchSize');
    if (!isDeviceIndex(device)) payload.fail('BAD_VALUE', 'device');
    if (steps.length > wireLimits.stepsMax) payload.fail('TOO_MANY', 'steps');
    if (fallbacks.length > wireLimits.fallbacksMax) payload.fail('TOO_MANY', 'fallbacks');
    payload.u32(result.queueUs, 'queueUs');
    payload.u32(result.transferUs, 'transferUs');
    payload.u32(result.computeUs, 'computeUs');
    payload.u32(result.totalUs, 'totalUs');
    payload.u16(batchSize, 'batchSize');
    payload.u16(device, 'device');
    payload.u16(outputs.length, 'outputs');
    payload.u8(steps.length, 'steps');
    payload.u8(fallbacks.length, 'fallbacks');
    this.writeTensors(outputs, true);
    for (const step of steps) writeStep(payload, step);
    for (const fallback of fallbacks) writeFallback(payload, fallback);
    this.finish(FrameType.RESULT, 0, 0, result.id);
  }

  /** Large data is not copied: it must not change until it was sent. */
  writeData({ id, end, data }: DataFrame): void {
    const payload = this.begin('DATA');
    const bytes = data.byteLength;
    if (bytes === 0 && !end) payload.fail('EMPTY_DATA');
    if (bytes > this.payloadBytesMax) payload.fail('PAYLOAD_TOO_LONG');
    const payloadBytes = padded(bytes);
    const padding = payloadBytes - bytes;
    const flags = end ? DataFlag.END : 0;
    if (bytes < referenceBytesMin) {
      payload.paddedRaw(data);
      this.finish(FrameType.DATA, flags, padding, id, payloadBytes);
      return;
    }
    this.finish(FrameType.DATA, flags, padding, id, payloadBytes, 0);
    this.closePart();
    this.addPart(data);
    if (padding > 0) this.addPart(zeros.subarray(0, padding));
  }

  private writePut({ id, tensor }: PutFrame): void {
    const payload = this.begin('PUT');
    if (tensor.slot !== 0 || tensor.source === 'OMITTED') payload.fail('BAD_VALUE', 'tensor');
    if (tensor.name !== '') payload.fail('BAD_VALUE', 'name');
    writeTensor(payload, tensor);
    this.finish(FrameType.PUT, 0, 0, id);
  }

  private writeTensors(tensors: readonly WireTensor[], areOutputs: boolean): void {
    const { payload } = this;
    if (tensors.length > wireLimits.tensorsMax) payload.fail('TOO_MANY', 'tensors');
    let slotMin = 0;
    for (const tensor of tensors) {
      const { slot, source } = tensor;
      if (!allowsSource(source, areOutputs)) payload.fail('BAD_VALUE', 'source');
      if (slot >= wireLimits.tensorsMax) payload.fail('BAD_VALUE', 'slot');
      if (slot < slotMin) payload.fail('BAD_ORDER', 'slot');
      if (!areOutputs && source !== 'HANDLE' && tensor.name !== '')
        payload.fail('BAD_VALUE', 'name');
      slotMin = slot + 1;
      writeTensor(payload, tensor);
    }
  }

  private writeByLayout(frame: Frame, layout: Layout): void {
    const payload = this.begin(frame.type);
    const problem = layout.check?.(frame);
    if (problem !== undefined) payload.fail(problem);
    const fields = frame as unknown as Fields;
    let flags = 0;
    for (const [key, bit] of Object.entries(layout.flags ?? {})) {
      if (fields[key] === true) flags |= bit;
    }
    writeFields(layout, payload, fields);
    for (const { key, flag, write } of layout.records ?? []) {
      const value = fields[key];
      if (flag === undefined) {
        for (const item of value as readonly never[]) write(payload, item);
      } else if (value !== undefined) {
        flags |= flag;
        write(payload, value as never);
      }
    }
    this.finish(FrameType[frame.type], flags, 0, frame.id);
  }

  /** The payload is written where it will lie; until `finish` it is not there. */
  private begin(type: FrameTypeName): PayloadWriter {
    const { payload, payloadBytesMax } = this;
    if (this.slab.length - this.end < headerBytes + payloadBytesMax) this.newSlab();
    payload.begin(type, this.slab, this.view, this.end + headerBytes, payloadBytesMax);
    return payload;
  }

  /** @param held how much of the payload lies in the slab */
  private finish(
    type: FrameType,
    flags: number,
    aux: number,
    id: number,
    payloadBytes = this.payload.length,
    held = payloadBytes,
  ): void {
    if (!Number.isSafeInteger(id) || id < 0) this.payload.fail('NUMBER_TOO_LARGE', 'id');
    if (!(id === 0 ? allowsZeroId : allowsId)[type]) this.payload.fail('BAD_ID', 'id');
    const { view, end } = this;
    view.setUint32(end, payloadBytes, true);
    view.setUint32(end + 4, type | (flags << 8) | (aux << 16), true);
    writeUint64(view, end + 8, id);
    this.end = end + headerBytes + held;
  }

  private newSlab(): void {
    this.closePart();
    this.slab = Buffer.allocUnsafeSlow(slabBytes);
    this.view = new DataView(this.slab.buffer);
    this.start = 0;
    this.end = 0;
  }

  private closePart(): void {
    if (this.end > this.start) this.addPart(this.slab.subarray(this.start, this.end));
    this.start = this.end;
  }

  private addPart(part: Uint8Array): void {
    this.parts.push(part);
    this.partBytes += part.byteLength;
  }
}
