// npm run accuracy: renders characters from font families that training never saw, classifies them through Axle, and
// counts. Needs the fonts (it says which packages), no Python.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { connect } from 'axle';

const RENDER = fileURLToPath(new URL('../axle/training/render-samples.mjs', import.meta.url));
const GOAL = 0.99;
const MISTAKES_SHOWN = 20;

const usage = `npm run accuracy -- [--count N] [--seed S] [--model M] [--folder DIR] [--json]
  --count N     images to render (2400)
  --seed S      of the renderer (1)
  --model M     glyphs
  --folder DIR  classify these images instead: labels.json holds [{"file", "label", "family"}]
  --json        print one object`;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '2400' },
    seed: { type: 'string', default: '1' },
    model: { type: 'string', default: 'glyphs' },
    folder: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

/**
 * @typedef {object} Image
 * @property {string} file
 * @property {string} label
 * @property {string} family
 */

const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'axle-accuracy-')));
try {
  if (values.folder === undefined) render(folder);
  process.exitCode = await measure(folder);
} finally {
  if (values.folder === undefined) await rm(folder, { recursive: true });
}

/** @param {string} out */
function render(out) {
  const args = [RENDER, '--out', out, '--count', values.count, '--seed', values.seed];
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(1);
}

/** @param {string} from */
async function measure(from) {
  /** @type {Image[]} */
  const images = JSON.parse(await readFile(join(from, 'labels.json'), 'utf8'));
  const paths = images.map(({ file }) => join(from, file));
  const client = await connect();
  const results = await client.classify(paths, { model: values.model });
  await client.close();
  const given = results.map((result) => result.results[0]?.label ?? '');
  const right = images.filter(({ label }, i) => given[i] === label).length;
  const accuracy = right / images.length;
  const families = byFamily(images, given);
  if (values.json) {
    console.log(
      JSON.stringify({ model: values.model, images: images.length, right, accuracy, families }),
    );
  } else {
    for (const { family, images: count, right: good } of families) {
      console.log(
        `${((100 * good) / count).toFixed(2).padStart(6)} %  ${good}/${count}  ${family}`,
      );
    }
    images
      .flatMap(({ file, label }, i) =>
        given[i] === label ? [] : [`  ${file}: ${label} taken for ${given[i]}`],
      )
      .slice(0, MISTAKES_SHOWN)
      .forEach((line) => console.log(line));
    console.log(
      `${values.model}: ${right} of ${images.length} right, ${(100 * accuracy).toFixed(2)} % top-1 (goal ${GOAL * 100} %)`,
    );
  }
  return accuracy >= GOAL ? 0 : 1;
}

/**
 * @param {readonly Image[]} images
 * @param {readonly string[]} given
 */
function byFamily(images, given) {
  /** @type {Map<string, {family: string, images: number, right: number}>} */
  const families = new Map();
  images.forEach(({ family, label }, i) => {
    const entry = families.get(family) ?? { family, images: 0, right: 0 };
    entry.images += 1;
    entry.right += given[i] === label ? 1 : 0;
    families.set(family, entry);
  });
  return [...families.values()].sort((a, b) => a.right / a.images - b.right / b.images);
}
