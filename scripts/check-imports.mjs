// Holds the direction of imports between the parts of Axle (see ARCHITECTURE.md).
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { isProgram, ROOT } from './repository.mjs';
import { sourceFiles } from './source-files.mjs';

/**
 * What the files of a folder may use of Axle's own, besides files of the same folder. Anything
 * that is not Axle's is free.
 *
 * @typedef {object} Area
 * @property {string} folder a last segment of `*` makes each sub-folder an area of its own
 * @property {readonly string[]} packages npm packages, by their entry; `*` ends a prefix
 * @property {readonly string[]} [testPackages] the same for its tests only
 * @property {readonly string[]} folders folders whose files may be imported by path, or included
 * @property {readonly string[]} headers C headers
 */

/** @type {readonly Area[]} */
export const AREAS = [
  // The addon has the wire protocol's codec in C.
  { folder: 'core', packages: [], folders: [], headers: ['axle/wire.h'] },
  { folder: 'plugins/common', packages: [], folders: [], headers: ['axle/plugin.h'] },
  { folder: 'plugins/*', packages: [], folders: ['plugins/common'], headers: ['axle/plugin.h'] },
  { folder: 'remoting', packages: ['@axle/core'], folders: ['proto'], headers: [] },
  { folder: 'unikernel-glue', packages: [], folders: [], headers: [] },
  {
    folder: 'axle',
    packages: ['@axle/core', '@axle/remoting', '@axle/plugin-*'],
    folders: [],
    headers: [],
  },
  {
    folder: 'faas',
    packages: ['axle'],
    // Its instances are processes, which run what was built.
    testPackages: ['@axle/faas'],
    folders: [],
    headers: [],
  },
  {
    folder: 'cli',
    packages: ['axle', '@axle/core', '@axle/remoting', '@axle/faas', '@axle/unikernel-glue'],
    folders: [],
    headers: [],
  },
  {
    folder: 'test',
    packages: ['axle', '@axle/*'],
    folders: ['proto', 'scripts'],
    headers: ['axle/plugin.h', 'axle/client.h', 'axle/posix.h'],
  },
  { folder: 'scripts', packages: [], folders: ['proto'], headers: [] },
];

const SCRIPT = /\.[cm]?[jt]sx?$/;
const NATIVE = /\.(c|cc|cpp|cxx|h|hh|hpp)$/;
const INCLUDE = /^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]/gm;
const TEST = /(^|\/)test\//;
/** Holds what tests of several packages share, such as the writer of small ONNX files. */
const TEST_SUPPORT = 'test';
const OUR_PACKAGE = /^(axle|@axle\/[^/]+)(\/.*)?$/;

/** What any package lets others read by path. */
const PUBLIC_SUBPATHS = new Set(['', '/package.json']);

/** Parts of `axle` that need packages which not everyone installs, that few need, or that do without the rest. */
const AXLE_SUBPATHS = new Set(['/errors', '/metrics', '/plugin-check', '/tracing']);

/** What core offers to Axle's own packages only, and what `axle` passes on. */
const CORE_SUBPATHS = new Set(['/errors', '/internal', '/plugin-check']);

/** Of remoting, for those who want nothing of servers. */
const REMOTING_SUBPATHS = new Set(['/client']);

/** The load generator: nothing of Axle, for what measures it. */
const CLI_SUBPATHS = new Set(['/load']);

/**
 * @typedef {object} SourceFile
 * @property {string} path relative to the root, with `/`
 * @property {string} text
 *
 * @typedef {object} Violation
 * @property {string} path
 * @property {number} line from 1
 * @property {string} message
 */

/**
 * @param {readonly SourceFile[]} files every source of the repository
 * @returns {Violation[]}
 */
export function findViolations(files) {
  const headers = files.map(({ path }) => path).filter((path) => NATIVE.test(path));
  return files.flatMap(({ path, text }) => {
    const home = areaOf(path);
    if (home === undefined) return [];
    if (SCRIPT.test(path)) return importViolations(home, path, text);
    if (NATIVE.test(path)) return includeViolations(home, path, text, headers);
    return [];
  });
}

/**
 * @param {{ area: Area, folder: string }} home
 * @param {string} path
 * @param {string} text
 * @returns {Violation[]}
 */
function importViolations(home, path, text) {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles.flatMap(({ fileName, pos }) => {
    const problem = fileName.startsWith('.')
      ? pathProblem(home, path, fileName)
      : packageProblem(home, path, fileName);
    return problem === undefined ? [] : [{ path, line: lineAt(text, pos), message: problem }];
  });
}

/**
 * @param {{ area: Area, folder: string }} home
 * @param {string} path
 * @param {string} specifier
 * @returns {string | undefined}
 */
function pathProblem({ area, folder }, path, specifier) {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  const support = TEST.test(path) ? [TEST_SUPPORT] : [];
  if ([folder, ...area.folders, ...support].some((each) => isWithin(each, target)))
    return undefined;
  return `${folder} may not import ${target} by path`;
}

/**
 * @param {{ area: Area, folder: string }} home
 * @param {string} path
 * @param {string} specifier
 * @returns {string | undefined}
 */
function packageProblem({ area, folder }, path, specifier) {
  const [, name, subpath = ''] = OUR_PACKAGE.exec(specifier) ?? [];
  if (name === undefined) return undefined;
  // Tests may take the package that they are of as it is built: programs that it starts are only there.
  const own = TEST.test(path) ? [`@axle/${folder}`] : [];
  if (![...area.packages, ...own].some((allowed) => matches(allowed, name))) {
    return `${folder} may not import ${name}`;
  }
  const isEntry =
    PUBLIC_SUBPATHS.has(subpath) ||
    (name === 'axle' && AXLE_SUBPATHS.has(subpath)) ||
    (name === '@axle/core' && CORE_SUBPATHS.has(subpath)) ||
    (name === '@axle/remoting' && REMOTING_SUBPATHS.has(subpath)) ||
    (name === '@axle/cli' && CLI_SUBPATHS.has(subpath));
  if (!isEntry) return `${specifier} is not a public entry of ${name}`;
  return undefined;
}

/**
 * @param {{ area: Area, folder: string }} home
 * @param {string} path
 * @param {string} text
 * @param {readonly string[]} headers every C and C++ file of the repository
 * @returns {Violation[]}
 */
function includeViolations({ area, folder }, path, text, headers) {
  return [...text.matchAll(INCLUDE)].flatMap(({ 1: included = '', index }) => {
    if (area.headers.includes(included)) return [];
    const target = posix.normalize(posix.join(posix.dirname(path), included));
    const suffix = `/${posix.normalize(included).replace(/^(\.\.\/)+/, '')}`;
    const candidates = headers.filter((header) => header === target || header.endsWith(suffix));
    const foreign = candidates.filter(
      (header) => ![folder, ...area.folders].some((each) => isWithin(each, header)),
    );
    if (foreign.length === 0 || foreign.length < candidates.length) return [];
    const message = `${folder} may not include ${foreign[0]}`;
    return [{ path, line: lineAt(text, index), message }];
  });
}

/**
 * @param {string} path
 * @returns {{ area: Area, folder: string } | undefined}
 */
function areaOf(path) {
  for (const area of AREAS) {
    if (!area.folder.endsWith('/*')) {
      if (isWithin(area.folder, path)) return { area, folder: area.folder };
      continue;
    }
    const parent = area.folder.slice(0, -'/*'.length);
    if (!isWithin(parent, path)) continue;
    return { area, folder: `${parent}/${path.slice(parent.length + 1).split('/')[0]}` };
  }
  return undefined;
}

/**
 * @param {string} folder
 * @param {string} path
 */
function isWithin(folder, path) {
  return path === folder || path.startsWith(`${folder}/`);
}

/**
 * @param {string} pattern
 * @param {string} name
 */
function matches(pattern, name) {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/**
 * @param {string} text
 * @param {number} offset
 */
function lineAt(text, offset) {
  return text.slice(0, offset).split('\n').length;
}

if (isProgram(import.meta.url)) {
  const files = sourceFiles(ROOT)
    .filter((path) => SCRIPT.test(path) || NATIVE.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
  const violations = findViolations(files);
  for (const { path, line, message } of violations) console.log(`${path}:${line}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
  else console.log(`axle: the imports of ${files.length} files go the right way`);
}
