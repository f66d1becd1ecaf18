import type { AxleError, Device, LoadedModel, ModelSource } from '@axle/core/internal';

import { decodeFrame } from '../wire/decode-frame.js';
import type { Frame, LoadedFrame, NeedFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { WireError } from '../wire/wire-error.js';
import { contentOf, modelBytesOf, type ModelBytes } from './model-upload.js';
import { namedModelFrame, type NamedOnServer } from './named-models.js';
import type { PendingAnswer } from './pending-answer.js';
import type { Journalled } from './journal.js';
import type { RemoteSession } from './remote-session.js';
import type { WireClient } from './wire-client.js';

/** A model that this client uses on the server, with all that it takes to make it there again. */
export class RemoteModel {
  /** 0: the server has not been asked, or failed. */
  handle = 0;
  /** Under that handle. */
  made: MadeModel | undefined = undefined;
  /** Devices that it is loaded on, as core sees it. */
  uses = 0;

  constructor(
    readonly source: ModelSource,
    /** Undefined: the server has it under a name. */
    readonly bytes: ModelBytes | undefined,
    readonly reference: string,
  ) {}

  frame(id: number): Frame {
    if (this.bytes !== undefined) return { ...this.bytes.frame, id };
    return namedModelFrame(id, this.reference);
  }
}

/** The models of one connection's client: each is made on the server when it is first used, once for all devices. */
export class RemoteModels {
  private readonly models = new Map<ModelSource, RemoteModel>();
  private readonly preparing = new Map<ModelSource, Promise<RemoteModel>>();

  /** @param onGone told of the handle of a model that cannot be named any more. */
  constructor(
    private readonly session: RemoteSession,
    private readonly onGone: (handle: number) => void,
  ) {}

  /** What makes the model again on another connection. */
  journalled({ made }: RemoteModel): Journalled | undefined {
    return made;
  }

  /** Sends the model without waiting for the server: calls that name it wait there. */
  async load(
    device: Device,
    source: ModelSource,
    named: NamedOnServer | undefined,
  ): Promise<LoadedModel> {
    const model = await this.prepared(source, named);
    model.uses += 1;
    this.handleOf(model);
    return { source, device, inputs: [], outputs: [], memoryBytes: 0, handle: model };
  }

  unload({ handle }: LoadedModel): void {
    const model = handle as RemoteModel;
    model.uses -= 1;
    if (model.uses > 0) return;
    this.models.delete(model.source);
    const { handle: id } = model;
    if (id === 0) return;
    model.handle = 0;
    model.made = undefined;
    this.onGone(id);
    this.session.release(id);
  }

  /**
   * What frames name it by; made anew where the server failed with it.
   *
   * @throws AxleError when the client was closed.
   */
  handleOf(model: RemoteModel): number {
    if (model.handle === 0) this.session.hold(this.make(model, this.session.newHandle()));
    return model.handle;
  }

  private make(model: RemoteModel, id: number): MadeModel {
    const made = new MadeModel(id, model, () => {
      this.session.forget(id);
      if (model.handle !== id) return;
      model.handle = 0;
      model.made = undefined;
      this.onGone(id);
    });
    model.handle = id;
    model.made = made;
    return made;
  }

  /** Settles when the model is on a device of the server. @throws AxleError UNAVAILABLE without a connection. */
  async prefetch(loaded: LoadedModel, device: string): Promise<void> {
    const { session } = this;
    const model = this.handleOf(loaded.handle as RemoteModel);
    const id = session.newHandle();
    const client = session.connected();
    await new Promise<void>((resolve, reject) => {
      client.ask(
        { type: 'LOAD', id, strict: true, model, deadlineUs: 0, priority: 0, device },
        new LoadAnswer(() => {
          // Only that it is there was wanted, no handle for it. The session may be on another connection by now.
          client.send({ type: 'RELEASE', id });
          resolve();
        }, reject),
      );
    });
  }

  private prepared(source: ModelSource, named: NamedOnServer | undefined): Promise<RemoteModel> {
    const known = this.models.get(source);
    if (known !== undefined) return Promise.resolve(known);
    const preparing = this.preparing.get(source) ?? this.prepare(source, named);
    this.preparing.set(source, preparing);
    return preparing;
  }

  private async prepare(
    source: ModelSource,
    named: NamedOnServer | undefined,
  ): Promise<RemoteModel> {
    try {
      const bytes = named === undefined ? await modelBytesOf(source) : undefined;
      const model = new RemoteModel(source, bytes, named?.reference ?? '');
      // It was asked for by name already, and is held since.
      const handle = named?.takeHandle() ?? 0;
      if (handle !== 0) this.session.adopt(this.make(model, handle));
      this.models.set(source, model);
      return model;
    } finally {
      this.preparing.delete(source);
    }
  }
}

/** A MODEL under a handle, on one connection after another. */
class MadeModel implements Journalled, PendingAnswer {
  private client: WireClient | undefined = undefined;

  constructor(
    readonly id: number,
    private readonly model: RemoteModel,
    private readonly failed: () => void,
  ) {}

  /** Says what it is, and its bytes as far as they are to be sent unasked. */
  sendOn(client: WireClient): void {
    const { id, model } = this;
    this.client = client;
    client.ask(model.frame(id), this);
    for (const piece of model.bytes?.unasked ?? []) client.sendBytes(id, piece);
  }

  onFrame(raw: RawFrame): boolean {
    const frame = decodeFrame(raw);
    if (frame.type === 'NEED') this.give(frame);
    return frame.type === 'DONE';
  }

  /** What names the model fails with the same, and says so to whoever waits for it. */
  onFailed(): void {
    this.failed();
  }

  onLost(): void {
    // The journal has it.
  }

  private give({ manifest, ranges }: NeedFrame): void {
    const { bytes } = this.model;
    if (bytes === undefined) throw new WireError('WRONG_STATE', 'NEED');
    const pieces = manifest ? [bytes.manifest] : contentOf(bytes.files, ranges);
    for (const piece of pieces) this.client?.sendBytes(this.id, piece);
  }
}

class LoadAnswer implements PendingAnswer {
  constructor(
    private readonly done: (loaded: LoadedFrame) => void,
    private readonly failed: (error: AxleError) => void,
  ) {}

  onFrame(raw: RawFrame): boolean {
    const frame = decodeFrame(raw);
    if (frame.type === 'LOADED') this.done(frame);
    return frame.type === 'LOADED';
  }

  onFailed(error: AxleError): void {
    this.failed(error);
  }
}
