import {
  AxleError,
  type Model,
  type ModelCatalogue,
  type ModelReport,
  type ModelSource,
  type TensorSpec,
} from '@axle/core/internal';

import { decodeFrame } from '../wire/decode-frame.js';
import { unsayable } from '../wire/names.js';
import type { ModelEntryFrame, ModelFrame, TensorSpecFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import type { PendingAnswer } from './pending-answer.js';
import type { RemoteSession } from './remote-session.js';

/** Of a name that is no good, so much is shown. */
const shownCharactersMax = 64;

/** Asks for a model by the name that the server has it under: `name` or `name:version`. */
export function namedModelFrame(id: number, name: string): ModelFrame {
  return {
    type: 'MODEL',
    id,
    manifest: false,
    content: false,
    named: true,
    contentId: new Uint8Array(32),
    bytes: 0,
    manifestBytes: 0,
    name,
    format: '',
    entry: '',
  };
}

/** A model that the server has under a name. */
export class NamedOnServer {
  constructor(
    readonly reference: string,
    readonly report: ModelReport,
    private handle: number,
  ) {}

  /** The handle that it was found under, once; 0 afterwards. */
  takeHandle(): number {
    const { handle } = this;
    this.handle = 0;
    return handle;
  }
}

export interface PublishAs {
  readonly name: string;
  /** '' = the next free number. */
  readonly version: string;
  readonly replace: boolean;
}

/** What a server says of a model that it has under a name. */
export interface DescribedModel {
  readonly report: ModelReport;
  readonly model: Model;
}

/** The names of models that a server answers to. */
export class NamedModels implements ModelCatalogue {
  private readonly bySource = new WeakMap<ModelSource, NamedOnServer>();

  constructor(private readonly session: RemoteSession) {}

  /** Of each name the highest version, as from a folder. */
  async list(): Promise<readonly ModelReport[]> {
    const latest = new Map((await this.versions()).map((report) => [report.name, report]));
    return [...latest.values()];
  }

  /** By name and version. */
  async versions(): Promise<readonly ModelReport[]> {
    const id = this.session.newHandle();
    return (await this.entriesOf(() => ({ type: 'LIST', id }))).map(reportOf);
  }

  /**
   * Takes a name away.
   *
   * @param version '' = all.
   * @throws AxleError NOT_FOUND.
   */
  async remove(name: string, version: string): Promise<void> {
    const id = this.session.newHandle();
    await this.entriesOf(() => ({ type: 'REMOVE', id, name, version }));
  }

  /**
   * Gives a model that has a handle a name.
   *
   * @throws AxleError as what the handle stands for failed, and as the server says of the name.
   */
  async publish(model: number, { name, version, replace }: PublishAs): Promise<void> {
    const id = this.session.newHandle();
    await this.entriesOf(() => ({ type: 'PUBLISH', id, model, name, version, replace }));
  }

  /** @throws AxleError INVALID_ARGUMENT for what cannot be a name; as the server says */
  async read(name: string): Promise<Model> {
    if (name === '') throw new AxleError('INVALID_ARGUMENT', 'the name of the model is empty');
    const unsaid = unsayable(name);
    if (unsaid !== undefined) {
      const shown = JSON.stringify(name.slice(0, shownCharactersMax));
      throw new AxleError('INVALID_ARGUMENT', `the model ${shown} ${unsaid}`);
    }
    const id = this.session.newHandle();
    const [entry] = await this.entriesOf(() => namedModelFrame(id, name));
    if (entry === undefined) throw undescribed(name);
    const { report, model } = describedBy(entry);
    this.know(model.source, report, id);
    return model;
  }

  /** As `read`, and keeps nothing of it on the server. @throws AxleError NOT_FOUND; otherwise as the other side says. */
  async look(name: string): Promise<DescribedModel> {
    const id = this.session.newHandle();
    const [entry] = await this.entriesOf(() => namedModelFrame(id, name));
    this.session.letGo(id);
    if (entry === undefined) throw undescribed(name);
    return describedBy(entry);
  }

  /** All of them, by name and version. */
  async lookAtAll(): Promise<readonly DescribedModel[]> {
    const id = this.session.newHandle();
    return (await this.entriesOf(() => ({ type: 'LIST', id }))).map(describedBy);
  }

  /** From now on the source stands for the model that the server has under that name and version. */
  know(source: ModelSource, report: ModelReport, handle = 0): void {
    const { name, version } = report;
    this.bySource.set(source, new NamedOnServer(`${name}:${version}`, report, handle));
  }

  describe({ source, name }: Model): ModelReport {
    const named = this.bySource.get(source);
    if (named === undefined) throw new AxleError('INTERNAL', `'${name}' is no model of the server`);
    return named.report;
  }

  /** Undefined: it is no model of the server's. */
  named(source: ModelSource): NamedOnServer | undefined {
    return this.bySource.get(source);
  }

  private entriesOf(ask: () => Parameters<RemoteSession['ask']>[0]): Promise<Entry[]> {
    return new Promise((resolve, reject) => {
      this.session.ask(ask(), new EntriesAnswer(resolve, reject));
    });
  }
}

class Entry {
  readonly parts: TensorSpecFrame[] = [];

  constructor(readonly frame: ModelEntryFrame) {}

  specs(role: TensorSpecFrame['role']): TensorSpec[] {
    return this.parts
      .filter((part) => part.role === role)
      .map(({ name, dtype, shape, anyRank }) =>
        anyRank ? { name, dtype, shape, anyRank } : { name, dtype, shape },
      );
  }
}

class EntriesAnswer implements PendingAnswer {
  private readonly entries: Entry[] = [];

  constructor(
    private readonly done: (entries: Entry[]) => void,
    private readonly failed: (error: AxleError) => void,
  ) {}

  onFrame(raw: RawFrame): boolean {
    const frame = decodeFrame(raw);
    if (frame.type === 'MODEL_ENTRY') this.entries.push(new Entry(frame));
    if (frame.type === 'TENSOR_SPEC') this.entries.at(-1)?.parts.push(frame);
    if (frame.type === 'DONE') this.done(this.entries);
    return frame.type === 'DONE';
  }

  onFailed(error: AxleError): void {
    this.failed(error);
  }
}

function undescribed(name: string): AxleError {
  return new AxleError('INTERNAL', `the server did not describe model '${name}'`);
}

function describedBy(entry: Entry): DescribedModel {
  const { frame } = entry;
  const source: ModelSource = {
    name: frame.name,
    format: 'onnx',
    contentId: Buffer.from(frame.contentId).toString('hex'),
    files: [],
  };
  const model: Model = {
    name: frame.name,
    version: frame.version,
    path: '',
    isElsewhere: true,
    source,
    inputs: entry.specs('INPUT'),
    outputs: entry.specs('OUTPUT'),
    maxBatchSize: frame.batchMax,
    dynamicBatching: undefined,
    sloAware: false,
    instanceGroups: [],
    warmUps: [],
    classify: undefined,
    classifyProblem: '',
  };
  return { report: reportOf(entry), model };
}

function reportOf(entry: Entry): ModelReport {
  const { name, version, format, batchMax, labels, bytes, problem } = entry.frame;
  return {
    name,
    version,
    path: '',
    format,
    maxBatchSize: batchMax,
    inputs: entry.specs('INPUT'),
    outputs: entry.specs('OUTPUT'),
    labels,
    bytes,
    problem: problem === '' ? undefined : problem,
  };
}
