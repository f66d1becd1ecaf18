import { AxleError } from '@axle/core/internal';

import { wireLimits } from '../../generated/wire.js';
import { storeError } from '../../store/disk.js';
import { readManifest } from '../../store/manifest.js';
import type { StoredModel } from '../../store/stored-model.js';
import type { Upload } from '../../store/upload.js';
import { decodeData } from '../../wire/decode-frame.js';
import type { ModelFrame } from '../../wire/frames.js';
import type { RawFrame } from '../../wire/frame-splitter.js';
import { WireError } from '../../wire/wire-error.js';
import { FailedBefore } from '../failed-before.js';
import type { Front } from '../front.js';
import { HeldModel } from './held-model.js';
import { sendEntry } from './send-entry.js';
import type { ServedModel, ServerModels } from './server-models.js';

/** Answers MODEL. */
export function beginModel(front: Front, models: ServerModels, frame: ModelFrame): void {
  const request = new ModelRequest(front, models, frame);
  front.hold(frame.id, request);
  request.begin();
}

/** A MODEL: on its way, or there. */
export class ModelRequest extends HeldModel {
  /** What can be published and read; undefined until it is there. */
  served: ServedModel | undefined = undefined;
  /** In the tenant's store; undefined for one of the operator's. */
  stored: StoredModel | undefined = undefined;
  private readonly tenant: string;
  private readonly contentId: string;
  private readonly manifestPieces: Uint8Array[] = [];
  private manifestBytesLeft = 0;
  /** Of the content, announced or asked for, and where it goes. */
  private due: { offset: number; bytes: number }[] = [];
  /** Pieces of the content that came and are not written. */
  private unwritten = 0;
  /** What is done with what came, one after another. */
  private work: Promise<void> = Promise.resolve();
  private upload: Upload | undefined = undefined;
  private isOver = false;
  /** All is there: what still comes was on its way. */
  private dropsData = false;

  constructor(
    private readonly front: Front,
    private readonly models: ServerModels,
    private readonly frame: ModelFrame,
  ) {
    super();
    this.tenant = front.session.tenant;
    this.contentId = Buffer.from(frame.contentId).toString('hex');
  }

  begin(): void {
    const { front, frame, models, tenant } = this;
    if (frame.named) {
      this.dropsData = true;
      this.then(() => this.useNamed());
      return;
    }
    this.checkAnnounced();
    const present = models.store.openShelfOf(tenant)?.models.get(this.contentId);
    if (present !== undefined) {
      this.dropsData = true;
      this.stored = models.store.pin(present);
      this.then(() => this.finish(present));
      return;
    }
    front.expectData(frame.id);
    this.manifestBytesLeft = frame.manifestBytes;
    if (frame.content) this.due = [{ offset: 0, bytes: frame.bytes }];
    if (models.sharesPublic) this.then(() => this.usePublic());
    if (frame.manifest) return;
    this.then(() => {
      if (!this.dropsData) {
        front.send({ type: 'NEED', id: frame.id, manifest: true, ranges: [] });
      }
    });
  }

  override onData(raw: RawFrame): void {
    const { data } = decodeData(raw);
    if (this.dropsData) return;
    const used = raw.end - raw.start;
    let at = 0;
    if (this.manifestBytesLeft > 0) {
      at = Math.min(this.manifestBytesLeft, data.byteLength);
      this.manifestPieces.push(data.subarray(0, at));
      this.manifestBytesLeft -= at;
      if (this.manifestBytesLeft === 0) this.then(() => this.takeManifest());
    }
    while (at < data.byteLength) {
      const [range] = this.due;
      if (range === undefined) throw new WireError('DATA_UNEXPECTED', 'DATA');
      const piece = data.subarray(at, at + range.bytes);
      const { offset } = range;
      at += piece.byteLength;
      range.offset += piece.byteLength;
      range.bytes -= piece.byteLength;
      if (range.bytes === 0) this.due.shift();
      this.unwritten += 1;
      this.then(() => this.takeContent(offset, piece));
    }
    this.then(() => {
      this.front.usedData(this.frame.id, used);
    });
  }

  override cancel(reason: AxleError): void {
    this.end(reason);
  }

  override close(): void {
    this.isOver = true;
    const { models, tenant, upload } = this;
    this.upload = undefined;
    if (this.stored !== undefined) models.store.unpin(this.stored);
    if (upload === undefined) return;
    // After what is being written.
    void this.work.then(() => models.store.abandon(tenant, upload, true)).catch(() => undefined);
  }

  /** @throws AxleError for what the store will not take, whatever it is */
  private checkAnnounced(): void {
    const { bytes, manifestBytes, content, format } = this.frame;
    const bytesMax = this.models.store.modelBytesMax(this.tenant);
    if (bytes > bytesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `the model has ${bytes} bytes; this server takes ${bytesMax}`,
        { retryable: false },
      );
    }
    if (content && bytes + manifestBytes > wireLimits.inlineModelBytesMax) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a model of more than ${wireLimits.inlineModelBytesMax} bytes is sent when it is asked for, not with CONTENT`,
      );
    }
    if (format !== 'onnx') {
      throw new AxleError('UNIMPLEMENTED', `this server runs no models of format '${format}'`);
    }
  }

  /** Does it when all before it is done, unless the handle has ended by then. */
  private then(work: () => void | Promise<void>): void {
    this.work = this.work.then(async () => {
      if (this.isOver) return;
      try {
        await work();
      } catch (error) {
        this.end(error instanceof AxleError ? error : storeError(error));
      }
    });
  }

  private async useNamed(): Promise<void> {
    const { front, models, tenant, frame } = this;
    const { served, stored } = await models.named(tenant, frame.name);
    if (this.isOver) {
      if (stored !== undefined) models.store.unpin(stored);
      return;
    }
    this.stored = stored;
    sendEntry(front, frame.id, served);
    this.isThere(served);
  }

  private async usePublic(): Promise<void> {
    const { models, contentId } = this;
    const { name, bytes, entry } = this.frame;
    const served = await models.samePublic({ name, contentId, bytes, entry });
    if (served === undefined || this.hasEnded) return;
    this.dropsData = true;
    this.isThere(served);
  }

  private async takeManifest(): Promise<void> {
    // What was sent unasked may be there already.
    if (this.dropsData) return;
    const { frame, models, tenant } = this;
    const manifest = readManifest(Buffer.concat(this.manifestPieces), this.contentId);
    this.manifestPieces.length = 0;
    if (manifest.bytes !== frame.bytes) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `the files of the manifest have ${manifest.bytes} bytes together, not ${frame.bytes}`,
      );
    }
    const upload = await models.store.begin(tenant, manifest);
    if (this.hasEnded) {
      await models.store.abandon(tenant, upload, true);
      return;
    }
    this.upload = upload;
    await this.goOn(upload);
  }

  private async takeContent(offset: number, data: Uint8Array): Promise<void> {
    const { upload } = this;
    this.unwritten -= 1;
    if (upload === undefined) return;
    await upload.write(offset, data);
    if (!this.hasEnded) await this.goOn(upload);
  }

  /** Finishes what is whole; asks for what is missing and was not announced. */
  private async goOn(upload: Upload): Promise<void> {
    const { front, frame, models, tenant } = this;
    if (upload.isWhole) {
      this.upload = undefined;
      this.dropsData = true;
      const stored = await models.store.finish(tenant, upload);
      if (this.hasEnded) models.store.unpin(stored);
      else {
        this.stored = stored;
        await this.finish(stored);
      }
      return;
    }
    if (this.due.length > 0 || this.unwritten > 0 || this.hasEnded) return;
    const ranges = upload.missing(wireLimits.rangesMax);
    this.due = ranges.map((range) => ({ ...range }));
    front.send({ type: 'NEED', id: frame.id, manifest: false, ranges });
  }

  private async finish(stored: StoredModel): Promise<void> {
    const { models, tenant, frame } = this;
    const { name, entry } = frame;
    const model = await models.open(tenant, stored, name, entry);
    if (this.hasEnded) return;
    const { contentId, bytes } = stored.manifest;
    this.isThere({ name, version: '1', contentId, bytes, entry, model });
  }

  private isThere(served: ServedModel): void {
    const { front, frame } = this;
    this.served = served;
    front.forgetData(frame.id);
    front.answer({ type: 'DONE', id: frame.id }, [], true);
    this.model.settle(served.model);
  }

  /** Read through this, after something was awaited: the connection may have ended meanwhile. */
  private get hasEnded(): boolean {
    return this.isOver;
  }

  private end(error: AxleError): void {
    if (this.isOver || this.isAnswered) return;
    const { upload, models, tenant, frame } = this;
    this.isOver = true;
    this.upload = undefined;
    // What is damaged, or what the disk has no room for, is not worth keeping.
    if (upload !== undefined) {
      const keeps = error.code === 'CANCELLED';
      void this.work.then(() => models.store.abandon(tenant, upload, keeps)).catch(() => undefined);
    }
    this.model.fail(new FailedBefore(error, frame.id));
    this.front.fail(frame.id, error);
  }
}
