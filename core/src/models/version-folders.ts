import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { AxleError } from '../errors.js';
import { fileError } from '../file-error.js';

export const modelFileName = 'model.onnx';
/** As Triton's, and short enough to be a number exactly. */
const versionForm = /^[1-9]\d{0,14}$/;

/** Version folders that hold a model, lowest first. */
export async function versionsOf(modelFolder: string): Promise<string[]> {
  if (!(await isFolder(modelFolder))) return [];
  const numbered = (await folderNames(modelFolder)).filter((name) => versionForm.test(name));
  const there = await Promise.all(
    numbered.map((version) => isFile(join(modelFolder, version, modelFileName))),
  );
  return numbered.filter((_, i) => there[i]).sort((a, b) => Number(a) - Number(b));
}

/**
 * Why what stands in a repository, and has no version, is no model. Undefined: it looks like none, and was hardly meant as
 * one.
 */
export async function folderProblem(path: string): Promise<AxleError | undefined> {
  const name = basename(path);
  if (name.startsWith('.')) return undefined;
  const refuse = (why: string) => new AxleError('INVALID_ARGUMENT', `model '${name}': ${why}`);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return refuse('it is a link that leads nowhere; put the folder there');
  if (!info.isDirectory()) return undefined;
  const inside = await folderNames(path).catch(() => undefined);
  if (inside === undefined) return refuse('its folder cannot be read; let the server read it');
  const version = inside.find((each) => versionForm.test(each));
  if (version !== undefined) {
    return refuse(`${version}/${modelFileName} is missing or no regular file; put the model there`);
  }
  const wrong = inside.find((each) => /^\d+$/.test(each));
  if (wrong !== undefined) {
    return refuse(
      `version ${wrong.slice(0, 32)} is none: they are whole numbers of up to 15 digits, from 1 up; rename the folder`,
    );
  }
  // Folders of other things may lie beside models.
  if (!isMeantAsModel(await readdir(path))) return undefined;
  return refuse(`it has no folder of a version; put the model in 1/${modelFileName}`);
}

function isMeantAsModel(names: readonly string[]): boolean {
  return names.length === 0 || names.some((name) => /\.(onnx|pbtxt)$/.test(name));
}

/** Of folders and of links, wherever these lead. @throws AxleError as the folder cannot be read. */
export async function folderNames(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name);
  } catch (error) {
    throw fileError(
      `cannot read the model folder ${path} (of 'models' or AXLE_MODELS; take it out there)`,
      error,
    );
  }
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}
