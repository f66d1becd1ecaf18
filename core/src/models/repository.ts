import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';

import type { ModelFile, TensorSpec } from '../backend.js';
import { AxleError } from '../errors.js';
import { fileError } from '../file-error.js';
import { readWholeFile } from '../file-reader.js';
import { pathOfUrl } from '../file-url.js';
import type { Limits } from '../limits.js';
import { emptyModelConfig, parseModelConfig, type ModelConfig, type WarmUp } from './config.js';
import { contentIdOf } from './manifest.js';
import type { ClassifySettings, Model } from './model.js';
import { readOnnxMetadata, type OnnxMetadata } from './onnx-metadata.js';
import { readPreprocess } from './preprocess.js';
import {
  folderNames,
  folderProblem,
  isFile,
  isFolder,
  modelFileName,
  versionsOf,
} from './version-folders.js';

/** What Triton takes when neither the config nor the caller says: `--backend-config=default-max-batch-size`. */
const defaultMaxBatchSize = 4;
const configFileName = 'config.pbtxt';

/** Where one version of a model lies. */
interface ModelLocation {
  readonly name: string;
  readonly version: string;
  /** Holds config.pbtxt and labels; undefined for a bare .onnx file. */
  readonly modelFolder: string | undefined;
  readonly file: string;
}

/** What stands in a repository. */
export interface RepositoryEntry {
  readonly name: string;
  /** The latest; '' where there is none. */
  readonly version: string;
  readonly path: string;
  /** Why it has no version; what else is wrong with it, reading it says. */
  readonly problem: AxleError | undefined;
}

/** Folders of models in Triton's layout, `<repository>/<model>/<version>/model.onnx`, and bare .onnx files. */
export class ModelRepository {
  constructor(
    readonly folders: readonly string[],
    private readonly limits: Limits,
  ) {}

  /** Names and latest versions of all models, by name. Of a name in two folders, the first that has a version. */
  async list(): Promise<RepositoryEntry[]> {
    const found = new Map<string, RepositoryEntry>();
    for (const folder of this.folders) {
      for (const name of await folderNames(folder)) {
        if (found.get(name)?.version) continue;
        const entry = await this.entryAt(name, join(folder, name));
        const isBetter = entry?.problem === undefined || !found.has(name);
        if (entry !== undefined && isBetter) found.set(name, entry);
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  private async entryAt(name: string, path: string): Promise<RepositoryEntry | undefined> {
    // A config that cannot be read is a problem of `read`, which says so.
    const served = await this.servedVersions(path).catch(() => []);
    const version = served.at(-1) ?? (await versionsOf(path)).at(-1);
    if (version !== undefined) return { name, version, path, problem: undefined };
    const problem = await folderProblem(path);
    return problem && { name, version: '', path, problem };
  }

  /** Versions of a model that are served, lowest first; none for a name that no folder has. */
  async versions(name: string): Promise<string[]> {
    const folder = await this.folderOf(name);
    return folder === undefined ? [] : this.servedVersions(folder);
  }

  /** What changes when files of a model do: all their names, times and sizes. */
  async stamp(name: string): Promise<string> {
    const folder = await this.folderOf(name);
    if (folder === undefined) return '';
    const inner = (await folderNames(folder)).map((name) => join(folder, name));
    const folders = [folder, ...(await foldersAmong(inner))];
    const lines: string[] = [];
    for (const each of folders) {
      const entries = await readdir(each, { withFileTypes: true });
      for (const entry of entries.filter((file) => !file.isDirectory())) {
        const path = join(each, entry.name);
        // A link that leads nowhere is one way that a file can be.
        const info = await stat(path).catch(() => undefined);
        lines.push(`${path} ${info?.mtimeMs ?? ''} ${info?.size ?? ''}`);
      }
    }
    return lines.sort().join('\n');
  }

  private async folderOf(name: string): Promise<string | undefined> {
    for (const folder of this.folders) {
      if ((await folderNames(folder)).includes(name)) return join(folder, name);
    }
    return undefined;
  }

  /**
   * Reads a model whole.
   *
   * @param reference a name, NAME:VERSION, a path (with a separator, or ending in .onnx), or a file URL.
   * @throws AxleError NOT_FOUND with what there is instead; INVALID_ARGUMENT when its files are damaged or name files
   * outside its folder; RESOURCE_EXHAUSTED past a limit.
   */
  async read(reference: string | URL): Promise<Model> {
    return this.readAt(await this.locate(reference));
  }

  /**
   * As `read`, of what was found under a name; never by a path.
   *
   * @returns undefined where no folder has a version of that name.
   */
  async readNamed(name: string): Promise<Model | undefined> {
    const location = await this.locateName(name);
    return location && this.readAt(location);
  }

  /**
   * As `read`, of a folder that holds all files of one model, its config and labels beside them.
   *
   * @param entry the model itself, relative to the folder.
   */
  async readFolder(name: string, folder: string, entry: string): Promise<Model> {
    const { name: ownName = name } = await this.readConfig(folder);
    const file = join(folder, entry);
    return this.readAt({ name: ownName, version: '1', modelFolder: folder, file });
  }

  private async readAt(location: ModelLocation): Promise<Model> {
    const configFile = await this.readConfigFile(location.modelFolder);
    const main = await this.readModelFile(location.file, basename(location.file));
    const metadata = readOnnxMetadata(main.data, location.file);
    const files = [main, ...(await this.readExternalFiles(location.file, metadata))];
    return this.assemble(location, configFile, metadata, files);
  }

  /** Versions that the config's version_policy lets run, lowest first; without one, all. */
  private async servedVersions(modelFolder: string): Promise<string[]> {
    const versions = await versionsOf(modelFolder);
    if (versions.length === 0) return versions;
    const { versionPolicy: policy } = await this.readConfig(modelFolder);
    if (policy?.kind === 'latest') return versions.slice(-policy.count);
    if (policy?.kind !== 'specific') return versions;
    return versions.filter((version) => policy.versions.includes(version));
  }

  private async locateVersion(
    modelFolder: string,
    wanted: string | undefined,
  ): Promise<ModelLocation | undefined> {
    const versions = await this.servedVersions(modelFolder);
    const version = wanted === undefined ? versions.at(-1) : versions.find((v) => v === wanted);
    const name = basename(resolve(modelFolder));
    if (version !== undefined) {
      return { name, version, modelFolder, file: join(modelFolder, version, modelFileName) };
    }
    const there = await versionsOf(modelFolder);
    if (there.length === 0) return undefined;
    throw new AxleError(
      'NOT_FOUND',
      versions.length === 0
        ? `model '${name}' has the versions ${there.join(', ')}, of which the version_policy of its ${configFileName} serves none`
        : `model '${name}' has no version '${wanted ?? ''}'; there are: ${versions.join(', ')}`,
    );
  }

  private async locate(reference: string | URL): Promise<ModelLocation> {
    const text =
      reference instanceof URL ? pathOfUrl(reference, 'give the path of a model') : reference;
    const isPath = reference instanceof URL || text.includes('/') || text.includes(sep);
    if (isPath || (text.endsWith('.onnx') && (await isFile(text)))) return this.locatePath(text);
    const location = await this.locateName(text);
    if (location !== undefined) return location;
    if (text.endsWith('.onnx')) return this.locatePath(text);
    const listed = await this.list();
    const { problem } = listed.find(({ name }) => name === text) ?? {};
    if (problem !== undefined) throw problem;
    const known = listed.filter((each) => each.problem === undefined).map(({ name }) => name);
    throw new AxleError(
      'NOT_FOUND',
      `no model '${text}' in ${this.folders.join(', ') || 'any repository'}; ` +
        `there are: ${known.join(', ') || 'none'}. Give one of these, or the path of a .onnx file`,
    );
  }

  /** By a folder's name, which may hold a colon, or by NAME:VERSION. */
  private async locateName(text: string): Promise<ModelLocation | undefined> {
    const [, name, version] = /^(.*):([^:]*)$/.exec(text) ?? [];
    for (const folder of this.folders) {
      const names = await folderNames(folder);
      const [found, wanted] = names.includes(text) ? [text, undefined] : [name, version];
      if (found === undefined || !names.includes(found)) continue;
      const location = await this.locateVersion(join(folder, found), wanted);
      if (location !== undefined) return location;
    }
    return undefined;
  }

  private async locatePath(path: string): Promise<ModelLocation> {
    const info = await stat(path).catch((error: unknown) => {
      throw fileError(`no model at ${path}`, error);
    });
    if (!info.isDirectory()) {
      return { name: basename(path, '.onnx'), version: '1', modelFolder: undefined, file: path };
    }
    const location = await this.locateVersion(path, undefined);
    if (location !== undefined) return location;
    throw new AxleError(
      'NOT_FOUND',
      `${path} holds no model: expected ${join(path, '1', modelFileName)}, or give the .onnx file itself`,
    );
  }

  /** @param modelFolder undefined for a bare .onnx file. */
  private async readConfig(modelFolder: string | undefined): Promise<ModelConfig> {
    return parsedConfig(await this.readConfigFile(modelFolder), modelFolder);
  }

  private async readConfigFile(modelFolder: string | undefined): Promise<ModelFile | undefined> {
    if (modelFolder === undefined) return undefined;
    const path = join(modelFolder, configFileName);
    const data = await readIfThere(path, this.limits.modelTextBytesMax);
    return data && { name: configFileName, data };
  }

  private async readModelFile(path: string, name: string): Promise<ModelFile> {
    return { name, data: await readLimited(path, this.limits.modelFileBytesMax) };
  }

  /** A model may name only files of its own folder; links that lead out of it count as outside. */
  private async readExternalFiles(file: string, metadata: OnnxMetadata): Promise<ModelFile[]> {
    if (metadata.externalFiles.length >= this.limits.modelFilesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `${file} names ${metadata.externalFiles.length} other files; the limit is ${this.limits.modelFilesMax - 1}`,
      );
    }
    const folder = await realpath(dirname(file));
    return Promise.all(
      metadata.externalFiles.map(async (name) => {
        await this.checkInside(file, folder, name);
        return this.readModelFile(join(folder, name), name);
      }),
    );
  }

  private async checkInside(file: string, folder: string, name: string): Promise<void> {
    const inside = (path: string) => path.startsWith(folder + sep);
    const path = resolve(folder, name);
    const outside = () =>
      new AxleError(
        'INVALID_ARGUMENT',
        `${file} keeps weights in '${name}', which is outside its folder; ` +
          `put the file beside the model and save the model with a relative location`,
      );
    if (name.includes('\0') || !inside(path)) throw outside();
    const real = await realpath(path).catch((error: unknown) => {
      throw fileError(`${file} keeps weights in '${name}', which cannot be read`, error);
    });
    if (!inside(real)) throw outside();
  }

  private async assemble(
    location: ModelLocation,
    configFile: ModelFile | undefined,
    metadata: OnnxMetadata,
    files: readonly ModelFile[],
  ): Promise<Model> {
    const { name, version } = location;
    const config = parsedConfig(configFile, location.modelFolder);
    if (config.name !== undefined && config.name !== name) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${name}/${configFileName} is for a model named '${config.name}'; rename it or the folder`,
      );
    }
    const batchable = [...metadata.inputs, ...metadata.outputs].every(
      (spec) => spec.shape[0] === -1,
    );
    const maxBatchSize = config.maxBatchSize ?? (batchable ? defaultMaxBatchSize : 0);
    if (maxBatchSize > 0 && !batchable) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${name}/${configFileName} has max_batch_size ${maxBatchSize}, but the model's first dimension is fixed; ` +
          `set max_batch_size to 0 or export the model with a dynamic batch`,
      );
    }
    checkPreferredSizes(name, config.dynamicBatching?.preferredBatchSizes ?? [], maxBatchSize);
    checkWarmUps(name, config.warmUps, metadata.inputs, maxBatchSize);
    const isDefault = config.maxBatchSize === undefined && maxBatchSize > 0;
    const batching = { batched: maxBatchSize > 0, isDefault };
    checkDeclared(name, config.inputs, metadata.inputs, batching);
    checkDeclared(name, config.outputs, metadata.outputs, batching);
    await this.checkLabelFiles(location, config);
    const { settings, problem, labelsFile } = await this.classifySettings(
      location,
      config,
      metadata,
    );
    const companions = [configFile, labelsFile].filter((file) => file !== undefined);
    const contentId = await contentIdOf(files);
    const servingId = await contentIdOf([...files, ...companions]);
    return {
      name,
      version,
      path: resolve(location.modelFolder ?? location.file),
      isElsewhere: false,
      source: { name, format: 'onnx', contentId, servingId, files, companions },
      inputs: metadata.inputs,
      outputs: metadata.outputs,
      maxBatchSize,
      dynamicBatching: maxBatchSize > 1 ? config.dynamicBatching : undefined,
      sloAware: readSloAware(config.parameters, name),
      instanceGroups: config.instanceGroups,
      warmUps: config.warmUps,
      classify: settings,
      classifyProblem: problem,
    };
  }

  private async classifySettings(
    location: ModelLocation,
    config: ModelConfig,
    metadata: OnnxMetadata,
  ): Promise<{
    settings: ClassifySettings | undefined;
    problem: string;
    labelsFile: ModelFile | undefined;
  }> {
    const [input] = metadata.inputs;
    const output =
      metadata.outputs.find((spec) => spec.name === config.parameters['axle.classify.output']) ??
      metadata.outputs[0];
    if (input === undefined || output === undefined || metadata.inputs.length !== 1) {
      const problem = `it has ${metadata.inputs.length} inputs, not one`;
      return { settings: undefined, problem, labelsFile: undefined };
    }
    let labelsFile: ModelFile | undefined;
    try {
      const preprocess = readPreprocess(config.parameters, input, location.name);
      const labelFile = config.outputs.find((spec) => spec.name === output.name)?.labelFile;
      labelsFile = await this.readLabelFile(location, labelFile);
      const labels = labelsOf(labelsFile);
      const { scores } = readClassifyParameters(config.parameters, metadata.outputs, location.name);
      const classes = output.shape.at(-1) ?? -1;
      if (labels.length > 0 && classes >= 0 && labels.length !== classes) {
        throw new AxleError(
          'FAILED_PRECONDITION',
          `model '${location.name}' cannot classify images: it has ${labels.length} labels for ${classes} scores`,
        );
      }
      return {
        settings: { preprocess, input: input.name, output: output.name, scores, labels },
        problem: '',
        labelsFile,
      };
    } catch (error) {
      if (error instanceof AxleError && error.code === 'FAILED_PRECONDITION') {
        return { settings: undefined, problem: error.message, labelsFile };
      }
      throw error;
    }
  }

  private async readLabelFile(
    location: ModelLocation,
    labelFile: string | undefined,
  ): Promise<ModelFile | undefined> {
    if (location.modelFolder === undefined || labelFile === undefined) return undefined;
    const path = await this.insideFolder(location, location.modelFolder, labelFile);
    return { name: labelFile, data: await readLimited(path, this.limits.modelTextBytesMax) };
  }

  /** Of all outputs, also of those whose labels are not read. @throws AxleError INVALID_ARGUMENT */
  private async checkLabelFiles(location: ModelLocation, { outputs }: ModelConfig): Promise<void> {
    const { modelFolder } = location;
    if (modelFolder === undefined) return;
    for (const { labelFile } of outputs) {
      if (labelFile === undefined) continue;
      await this.insideFolder(location, modelFolder, labelFile).catch((error: unknown) => {
        const isOutside = error instanceof AxleError && error.code === 'INVALID_ARGUMENT';
        if (isOutside) throw error;
      });
    }
  }

  /** Where a labels file lies. @throws AxleError INVALID_ARGUMENT outside the folder; as it cannot be read. */
  private async insideFolder(
    { name }: ModelLocation,
    modelFolder: string,
    labelFile: string,
  ): Promise<string> {
    if (labelFile !== basename(labelFile)) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${name}/${configFileName}: label_filename '${labelFile}' must be a file of the model's folder`,
      );
    }
    const path = join(modelFolder, labelFile);
    const real = await realpath(path).catch((error: unknown) => {
      throw fileError(`cannot read the labels of model '${name}'`, error);
    });
    if (dirname(real) === (await realpath(modelFolder))) return real;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `labels file ${path} is a link that leads out of the model's folder; put the file itself there`,
    );
  }
}

function labelsOf(file: ModelFile | undefined): string[] {
  const text = Buffer.from(file?.data ?? []).toString('utf8');
  const lines = text.replace(/^\ufeff/, '').trimEnd();
  return lines === '' ? [] : lines.split(/\r?\n/);
}

/** @param file undefined: there is none */
function parsedConfig(file: ModelFile | undefined, modelFolder: string | undefined): ModelConfig {
  if (file === undefined || modelFolder === undefined) return emptyModelConfig;
  const text = Buffer.from(file.data).toString('utf8');
  return parseModelConfig(text, join(modelFolder, configFileName));
}

/** @throws AxleError INVALID_ARGUMENT naming the parameter. */
function readSloAware(parameters: Readonly<Record<string, string>>, model: string): boolean {
  const key = 'axle.batching.slo_aware';
  const value = parameters[key] ?? 'true';
  if (value === 'true' || value === 'false') return value === 'true';
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${model}/${configFileName}: parameter ${key} is '${value}'; it takes true or false`,
  );
}

const scoreKinds = ['probabilities', 'logits'] as const;

/** @throws AxleError FAILED_PRECONDITION naming the parameter. */
function readClassifyParameters(
  parameters: Readonly<Record<string, string>>,
  outputs: readonly TensorSpec[],
  model: string,
): Pick<ClassifySettings, 'scores'> {
  const fail = (why: string) =>
    new AxleError('FAILED_PRECONDITION', `model '${model}' cannot classify images: ${why}`);
  const output = parameters['axle.classify.output'];
  if (output !== undefined && !outputs.some(({ name }) => name === output)) {
    const names = outputs.map(({ name }) => name).join(', ');
    throw fail(`axle.classify.output is '${output}', but its outputs are ${names}`);
  }
  const wanted = parameters['axle.classify.scores'] ?? 'probabilities';
  const scores = scoreKinds.find((kind) => kind === wanted);
  if (scores !== undefined) return { scores };
  throw fail(`axle.classify.scores is '${wanted}'; it takes ${scoreKinds.join(' or ')}`);
}

function checkPreferredSizes(model: string, sizes: readonly number[], maxBatchSize: number): void {
  const tooLarge = sizes.find((size) => size > maxBatchSize);
  if (tooLarge === undefined) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `${model}/${configFileName}: preferred_batch_size ${tooLarge} is more than max_batch_size ${maxBatchSize}; ` +
      `lower the one or raise the other`,
  );
}

/**
 * Triton's rules: batch_size may be left out, and is 1 at most where the model takes no batch; inputs are those of the
 * model.
 */
function checkWarmUps(
  model: string,
  warmUps: readonly WarmUp[],
  inputs: readonly TensorSpec[],
  maxBatchSize: number,
): void {
  for (const warmUp of warmUps) {
    const { name, batchSize } = warmUp;
    const refuse = (why: string) =>
      new AxleError(
        'INVALID_ARGUMENT',
        `${model}/${configFileName}: model_warmup '${name}' ${why}`,
      );
    if (batchSize > Math.max(1, maxBatchSize)) {
      throw refuse(
        maxBatchSize > 0
          ? `has batch_size ${batchSize}, more than max_batch_size ${maxBatchSize}; lower the one or raise the other`
          : `has batch_size ${batchSize}, and the model takes no batch; leave batch_size out`,
      );
    }
    for (const input of warmUp.inputs) {
      const problem = mismatch(input, inputs, maxBatchSize > 0);
      if (problem !== undefined) throw refuse(`has an input '${input.name}' that ${problem}`);
    }
  }
}

/** What a config declares must be what the model has; the model is right about the rest. */
function checkDeclared(
  model: string,
  declared: readonly TensorSpec[],
  actual: readonly TensorSpec[],
  { batched, isDefault }: { readonly batched: boolean; readonly isDefault: boolean },
): void {
  for (const spec of declared) {
    const problem = mismatch(spec, actual, batched);
    if (problem === undefined) continue;
    const fitsWhole = isDefault && mismatch(spec, actual, false) === undefined;
    const advice = fitsWhole
      ? `: max_batch_size is ${defaultMaxBatchSize} where the config does not say it, and leaves the first dimension out; set it to 0, or take that dimension out of dims`
      : '';
    throw new AxleError(
      'INVALID_ARGUMENT',
      `${model}/${configFileName}: tensor '${spec.name}' ${problem}${advice}`,
    );
  }
}

/** How a tensor of a config differs from the model's of that name; undefined: it fits. */
function mismatch(
  spec: TensorSpec,
  actual: readonly TensorSpec[],
  batched: boolean,
): string | undefined {
  const found = actual.find((candidate) => candidate.name === spec.name);
  if (found === undefined) {
    return `is not in the model, which has: ${actual.map(({ name }) => name).join(', ')}`;
  }
  if (found.dtype !== spec.dtype) {
    return `is declared ${spec.dtype} but the model has ${found.dtype}`;
  }
  if (found.anyRank) return undefined;
  const shape = batched ? found.shape.slice(1) : found.shape;
  const fits =
    shape.length === spec.shape.length &&
    shape.every((size, i) => size === -1 || spec.shape[i] === -1 || size === spec.shape[i]);
  if (fits) return undefined;
  return `is declared [${spec.shape.join(', ')}] but the model has [${shape.join(', ')}]`;
}

/** Links that lead nowhere, or to files, are none. */
async function foldersAmong(paths: readonly string[]): Promise<string[]> {
  const areFolders = await Promise.all(paths.map(isFolder));
  return paths.filter((_, i) => areFolders[i]);
}

async function readLimited(path: string, bytesMax: number): Promise<Buffer> {
  const unreadable = (error: unknown) => {
    throw fileError(`cannot read ${path}`, error);
  };
  const info = await stat(path).catch(unreadable);
  if (!info.isFile()) throw new AxleError('INVALID_ARGUMENT', `${path} is no regular file`);
  if (info.size > bytesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `${path} has ${info.size} bytes; the limit is ${bytesMax}`,
      { retryable: false },
    );
  }
  return readWholeFile(path, info.size).catch(unreadable);
}

async function readIfThere(path: string, bytesMax: number): Promise<Buffer | undefined> {
  try {
    return await readLimited(path, bytesMax);
  } catch (error) {
    if (error instanceof AxleError && isMissing(error.cause)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}
