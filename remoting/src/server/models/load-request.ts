import {
  AxleError,
  prefetchChain,
  type CallOptions,
  type LoadedModel,
  type Model,
} from '@axle/core/internal';

import { fromWireUs } from '../../wire/time.js';
import type { LoadFrame } from '../../wire/frames.js';
import { FailedBefore } from '../failed-before.js';
import type { Front } from '../front.js';
import { HeldModel } from './held-model.js';
import { sendSpecs } from './send-entry.js';

/** Answers LOAD. @throws AxleError for what is no model */
export function beginLoad(front: Front, frame: LoadFrame): void {
  const named = front.named(frame.model);
  if (!(named instanceof HeldModel)) throw front.notThere(frame.model, 'model');
  const request = new LoadRequest(front, frame);
  front.hold(frame.id, request);
  named.model.when(
    (model) => {
      request.load(model);
    },
    (error) => {
      request.end(error);
    },
  );
}

/** A LOAD. It keeps the model on its device for nobody: who needs the room takes it, and a call loads it again. */
class LoadRequest extends HeldModel {
  private readonly ending = new AbortController();
  private readonly deadlineAt: number | undefined;

  constructor(
    private readonly front: Front,
    private readonly frame: LoadFrame,
  ) {
    super();
    const { deadlineUs } = frame;
    this.deadlineAt = deadlineUs === 0 ? undefined : front.runtime.clock() + fromWireUs(deadlineUs);
  }

  override cancel(reason: AxleError): void {
    this.end(reason);
  }

  override close(): void {
    this.ending.abort();
  }

  load(model: Model): void {
    if (this.isAnswered) return;
    const { front, deadlineAt } = this;
    const { device, strict, priority } = this.frame;
    const options: CallOptions = {
      device: device === '' ? undefined : device,
      strict,
      priority,
      deadlineMs:
        deadlineAt === undefined ? undefined : Math.max(0, deadlineAt - front.runtime.clock()),
      signal: this.ending.signal,
    };
    front.session
      .call('prefetch', options, (cancellation) =>
        front.session.prefetch({ chain: prefetchChain(model), model }, options, cancellation),
      )
      .then(
        (loaded) => {
          this.answer(model, loaded);
        },
        (error: unknown) => {
          this.end(error);
        },
      );
  }

  end(reason: unknown): void {
    if (this.isAnswered) return;
    const error = reason instanceof AxleError ? reason : new AxleError('INTERNAL', String(reason));
    this.front.fail(this.frame.id, error);
    this.model.fail(error instanceof FailedBefore ? error : new FailedBefore(error, this.frame.id));
  }

  private answer(model: Model, loaded: LoadedModel | undefined): void {
    if (this.isAnswered) return;
    const { front, frame } = this;
    sendSpecs(front, frame.id, model);
    front.answer(
      {
        type: 'LOADED',
        id: frame.id,
        memoryBytes: loaded?.memoryBytes ?? 0,
        device: front.deviceIndexOf(loaded?.device.id ?? ''),
        inputCount: model.inputs.length,
        outputCount: model.outputs.length,
      },
      [],
      true,
    );
    this.model.settle(model);
  }
}
