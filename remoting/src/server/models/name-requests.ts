import { AxleError, Tensor } from '@axle/core/internal';

import { DEVICE_NONE } from '../../generated/wire.js';
import { storeError } from '../../store/disk.js';
import { OutgoingTensors } from '../../tensors/outgoing.js';
import type { PublishFrame, ReadFrame, RemoveFrame } from '../../wire/frames.js';
import type { Front } from '../front.js';
import { Held } from '../held.js';
import { ModelRequest } from './model-request.js';
import { sendEntry, sendProblem } from './send-entry.js';
import type { ServerModels } from './server-models.js';

/** What is answered when the disk has said its part. */
class Waiting extends Held {
  private hasEnded = false;

  constructor(
    private readonly front: Front,
    private readonly id: number,
  ) {
    super();
  }

  override close(): void {
    this.hasEnded = true;
  }

  async answerWith(work: () => Promise<void>): Promise<void> {
    const { front, id } = this;
    try {
      await work();
      if (!this.hasEnded) front.answer({ type: 'DONE', id }, [], false);
    } catch (error) {
      if (!this.hasEnded) front.fail(id, storeError(error));
    }
  }
}

function answerLater(front: Front, id: number, work: () => Promise<void>): void {
  const waiting = new Waiting(front, id);
  front.hold(id, waiting);
  void waiting.answerWith(work);
}

/** Answers LIST. */
export function list(front: Front, models: ServerModels, id: number): void {
  answerLater(front, id, async () => {
    for (const { name, version, found } of await models.list(front.session.tenant)) {
      if (found instanceof AxleError) sendProblem(front, id, { name, version }, found);
      else sendEntry(front, id, found);
    }
  });
}

/** Answers PUBLISH. @throws AxleError for what is no model */
export function publish(front: Front, models: ServerModels, frame: PublishFrame): void {
  const { id, name, version, replace } = frame;
  const named = modelAt(front, frame.model);
  answerLater(front, id, async () => {
    await settled(named);
    const { served, stored } = named;
    if (served === undefined || stored === undefined) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        "a model of the operator's cannot be published; send it first",
      );
    }
    const shelf = await models.store.shelf(front.session.tenant);
    const { contentId, entry } = served;
    await shelf.publish(name, version, { contentId, entry, format: 'onnx' }, replace);
    const { tenant } = front.session;
    models.onNamed?.('model pushed', { tenant, model: name, version, contentId });
  });
}

/** Answers REMOVE. */
export function remove(front: Front, models: ServerModels, frame: RemoveFrame): void {
  answerLater(front, frame.id, async () => {
    const shelf = await models.store.shelf(front.session.tenant);
    const { name, version } = frame;
    await shelf.unpublish(name, version);
    models.onNamed?.('model removed', { tenant: front.session.tenant, model: name, version });
  });
}

/** Answers READ: only with what the model was read from. @throws AxleError for what is no model */
export function read(front: Front, frame: ReadFrame): void {
  const { id } = frame;
  const named = modelAt(front, frame.model);
  const waiting = new Reading(front, frame, named);
  front.hold(id, waiting);
  waiting.begin();
}

class Reading extends Held {
  constructor(
    private readonly front: Front,
    private readonly frame: ReadFrame,
    private readonly named: ModelRequest,
  ) {
    super();
  }

  begin(): void {
    const { front, frame } = this;
    this.named.model.when(
      ({ source }) => {
        if (this.isAnswered) return;
        const files = [...source.files, ...(source.companions ?? [])];
        const found = files.find(({ name }) => name === frame.file);
        if (found === undefined) {
          const names = files.map(({ name }) => name).join(', ');
          const why = `the model has no file '${frame.file}'; there are: ${names}`;
          front.fail(frame.id, new AxleError('NOT_FOUND', why));
          return;
        }
        this.answer(Tensor.fromBytes('UINT8', found.data, [found.data.byteLength]));
      },
      (error) => {
        if (!this.isAnswered) front.fail(frame.id, error);
      },
    );
  }

  private answer(tensor: Tensor): void {
    const { front, frame } = this;
    const { records, following } = new OutgoingTensors(
      [{ name: '', tensor }],
      false,
      front.payloadMax,
    );
    front.answer(
      {
        type: 'RESULT',
        id: frame.id,
        queueUs: 0,
        transferUs: 0,
        computeUs: 0,
        totalUs: 0,
        batchSize: 1,
        device: DEVICE_NONE,
        outputs: records,
        steps: [],
        fallbacks: [],
      },
      following,
      false,
    );
  }
}

function modelAt(front: Front, id: number): ModelRequest {
  const named = front.named(id);
  if (named instanceof ModelRequest) return named;
  throw front.notThere(id, 'model');
}

function settled({ model }: ModelRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    model.when(() => {
      resolve();
    }, reject);
  });
}
