/**
 * Renders labelled pictures of printed characters with libvips and Pango only: a
 * second renderer, sharing nothing with render.py, to check the models against.
 *
 *   node render-samples.mjs --out DIR [--count 2400] [--seed 1] [--fonts FILE_OR_DIR]...
 *   node render-samples.mjs --out DIR --demo
 *
 * Writes `000123_A.png` or `.jpg` and `labels.json`, a list of {file, label, family}.
 * The same seed gives the same pictures for the same fonts and the same sharp.
 */

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

import { readFontNames } from './font-names.mjs';

const LABELS = '0123456789ABCDEFGHJKLMNPQRSTUVWXYZ';

/** Families never shown to training (fonts.py HELD_OUT_FAMILIES), where Debian puts them. */
const HELD_OUT = [
  { package: 'fonts-bebas-neue', directory: '/usr/share/fonts/opentype/bebas-neue' },
  { package: 'fonts-cabin', directory: '/usr/share/fonts/opentype/cabin' },
  { package: 'fonts-cantarell', directory: '/usr/share/fonts/opentype/cantarell' },
  {
    package: 'fonts-crosextra-caladea',
    directory: '/usr/share/fonts/truetype/crosextra',
    prefix: 'Caladea',
  },
  {
    package: 'fonts-crosextra-carlito',
    directory: '/usr/share/fonts/truetype/crosextra',
    prefix: 'Carlito',
  },
  { package: 'fonts-sil-charis', directory: '/usr/share/fonts/truetype/charis' },
  { package: 'fonts-clear-sans', directory: '/usr/share/fonts/truetype/clear-sans' },
  {
    package: 'fonts-ebgaramond',
    directory: '/usr/share/fonts/opentype/ebgaramond',
    prefix: 'EBGaramond12-',
  },
  { package: 'fonts-firacode', directory: '/usr/share/fonts/truetype/firacode' },
  { package: 'fonts-inconsolata', directory: '/usr/share/fonts/truetype/inconsolata' },
  { package: 'fonts-jetbrains-mono', directory: '/usr/share/fonts/truetype/jetbrains-mono' },
  { package: 'fonts-lato', directory: '/usr/share/fonts/truetype/lato' },
  { package: 'fonts-quicksand', directory: '/usr/share/fonts/truetype/quicksand' },
  { package: 'fonts-roboto-slab', directory: '/usr/share/fonts/opentype/roboto/slab' },
  { package: 'fonts-vollkorn', directory: '/usr/share/fonts/truetype/vollkorn' },
];

const TEXT_SIZE_PT = 400;
const SIDE_PX = [48, 512];
const STRETCH_MAX = 1.25;
const ROTATION_DEG_MAX = 10;
const GLYPH_HEIGHT_SHARE = [0.35, 0.95];
const CONTRAST_MIN = 100;
const EQUAL_LUMA_CONTRAST_MIN = 150;

/** The pictures that the documentation shows; `--demo` writes them by these names. */
const DEMO = [
  {
    file: 'A.png',
    label: 'A',
    font: 'Vollkorn-Bold.ttf',
    side: 160,
    ground: [250, 244, 230],
    ink: [150, 40, 30],
  },
  {
    file: '7.jpg',
    label: '7',
    font: 'Lato-Regular.ttf',
    side: 200,
    ground: [24, 60, 110],
    ink: [255, 214, 90],
  },
  {
    file: 'R.jpg',
    label: 'R',
    font: 'JetBrainsMono-Bold.ttf',
    side: 180,
    ground: [30, 32, 36],
    ink: [120, 220, 140],
  },
  {
    file: 'K.png',
    label: 'K',
    font: 'Caladea-Italic.ttf',
    side: 140,
    ground: [220, 90, 160],
    ink: [40, 150, 60],
  },
];

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, uniform numbers in [0, 1). */
class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** @returns {number} between `low` (included) and `high` */
  between(low, high) {
    return low + (high - low) * this.next();
  }

  /** @returns {number} a whole number from `low` to `high`, both included */
  integer(low, high) {
    return Math.floor(this.between(low, high + 1));
  }

  /** @template T @param {readonly T[]} items @returns {T} */
  pick(items) {
    return items[this.integer(0, items.length - 1)];
  }

  /** @returns {number} a standard normal deviate (Box and Muller) */
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }
}

/** @returns {string[]} the font files of `path`, itself a file or a directory */
function fontFilesIn(path, prefix = '') {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => /\.(ttf|otf)$/i.test(name) && name.startsWith(prefix))
    .sort()
    .map((name) => join(path, name));
}

/**
 * @param {readonly string[]} paths given with --fonts; the held-out families when empty
 * @returns {{ path: string, family: string, style: string }[][]} faces, one list a font source
 * @throws {Error} when no font file is found
 */
function findFaces(paths) {
  const groups =
    paths.length > 0
      ? paths.map((path) => fontFilesIn(path))
      : HELD_OUT.map(({ directory, prefix }) => fontFilesIn(directory, prefix));
  const faces = groups
    .filter((files) => files.length > 0)
    .map((files) => files.map((path) => ({ path, ...readFontNames(path) })));
  if (faces.length > 0) return faces;
  if (paths.length > 0)
    throw new Error(`No .ttf or .otf file in ${paths.join(', ')}: check --fonts.`);
  const packages = HELD_OUT.map((source) => source.package).join(' ');
  throw new Error(`No held-out font is installed. Run: apt-get install -y ${packages}`);
}

/**
 * Draws one character, rotated, in white on black and cropped to its ink.
 * @returns {Promise<{ data: Buffer, info: import('sharp').OutputInfo }>} one byte a pixel
 */
async function drawGlyph(face, label, rotationDeg) {
  const drawn = await sharp({
    text: {
      text: label,
      font: `${face.family}, ${face.style} ${TEXT_SIZE_PT}`,
      fontfile: face.path,
      dpi: 72,
    },
  })
    .extend({ top: 2, bottom: 2, left: 2, right: 2, background: 'black' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const turned = await sharp(drawn.data, { raw: drawn.info })
    .rotate(rotationDeg, { background: 'black' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return sharp(turned.data, { raw: turned.info })
    .trim({ background: 'black', threshold: 20 })
    .extractChannel(0)
    .raw()
    .toBuffer({ resolveWithObject: true });
}

/**
 * Places a glyph in a picture and blurs it.
 * @returns {Promise<Buffer>} coverage, one byte a pixel, `width * height`
 */
async function placeGlyph(glyph, { width, height, heightShare, leftShare, topShare, blurShare }) {
  const scale = Math.min(
    (heightShare * height) / glyph.info.height,
    (0.96 * width) / glyph.info.width,
  );
  const glyphWidth = Math.max(1, Math.round(glyph.info.width * scale));
  const glyphHeight = Math.max(1, Math.round(glyph.info.height * scale));
  const left = Math.floor(leftShare * (width - glyphWidth + 1));
  const top = Math.floor(topShare * (height - glyphHeight + 1));
  const placed = await sharp(glyph.data, {
    raw: { width: glyph.info.width, height: glyph.info.height, channels: 1 },
  })
    .resize(glyphWidth, glyphHeight, { fit: 'fill' })
    .extend({
      top,
      left,
      bottom: height - top - glyphHeight,
      right: width - left - glyphWidth,
      background: 'black',
    })
    .extractChannel(0)
    .raw()
    .toBuffer();
  const sigma = blurShare * glyphHeight;
  if (sigma < 0.3) return placed; // the least that sharp's Gaussian takes
  return sharp(placed, { raw: { width, height, channels: 1 } })
    .blur(sigma)
    .extractChannel(0)
    .raw()
    .toBuffer();
}

/** @returns {Buffer} RGB pixels: `ink` where covered, `ground` elsewhere, plus sensor noise */
function paint(random, coverage, ground, ink, noiseDeviation) {
  const pixels = Buffer.alloc(coverage.length * 3);
  for (let index = 0; index < coverage.length; index += 1) {
    const share = coverage[index] / 255;
    for (let channel = 0; channel < 3; channel += 1) {
      const noise = noiseDeviation > 0 ? noiseDeviation * random.normal() : 0;
      const value = ground[channel] + share * (ink[channel] - ground[channel]) + noise;
      pixels[index * 3 + channel] = Math.max(0, Math.min(255, Math.round(value)));
    }
  }
  return pixels;
}

const luma = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;

/** @returns {[number[], number[]]} two contrasting colours; one pair in six is of equal luminance */
function pickColours(random) {
  const equalLuma = random.next() < 1 / 6;
  for (;;) {
    const [ground, ink] = [0, 1].map(() => [0, 1, 2].map(() => random.integer(0, 255)));
    const contrast = Math.hypot(...ground.map((value, channel) => value - ink[channel]));
    if (contrast < (equalLuma ? EQUAL_LUMA_CONTRAST_MIN : CONTRAST_MIN)) continue;
    if (!equalLuma || Math.abs(luma(ground) - luma(ink)) < 20) return [ground, ink];
  }
}

/** @returns {Promise<{ data: Buffer, extension: string, label: string, family: string }>} */
async function renderSample(random, sources) {
  const face = random.pick(random.pick(sources));
  const label = random.pick(LABELS);
  const side = Math.exp(random.between(...SIDE_PX.map(Math.log)));
  const stretch = random.next() < 0.7 ? 1 : random.between(1 / STRETCH_MAX, STRETCH_MAX);
  const [width, height] = [side * Math.sqrt(stretch), side / Math.sqrt(stretch)].map((length) =>
    Math.max(SIDE_PX[0], Math.min(SIDE_PX[1], Math.round(length))),
  );
  const rotation = random.next() < 0.8 ? random.between(-ROTATION_DEG_MAX, ROTATION_DEG_MAX) : 0;
  const glyph = await drawGlyph(face, label, rotation);
  const coverage = await placeGlyph(glyph, {
    width,
    height,
    heightShare: random.between(...GLYPH_HEIGHT_SHARE),
    leftShare: random.next(),
    topShare: random.next(),
    blurShare: random.next() < 0.5 ? random.between(0, 0.05) : 0,
  });
  const [ground, ink] = pickColours(random);
  const noise = random.next() < 0.5 ? random.between(0, 15) : 0;
  const pixels = paint(random, coverage, ground, ink, noise);
  const extension = random.next() < 0.4 ? 'png' : 'jpg';
  const quality = random.integer(40, 95);
  return {
    data: await encode(pixels, width, height, extension, quality),
    extension,
    label,
    family: face.family,
  };
}

/** @returns {Promise<Buffer>} the RGB pixels as a PNG or a JPEG with halved chroma */
function encode(pixels, width, height, extension, quality) {
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } });
  return extension === 'png'
    ? picture.png().toBuffer()
    : picture.jpeg({ quality, chromaSubsampling: '4:2:0' }).toBuffer();
}

async function writeSamples(out, count, random, sources) {
  const entries = [];
  for (let index = 0; index < count; index += 1) {
    const { data, extension, label, family } = await renderSample(random, sources);
    const file = `${String(index).padStart(6, '0')}_${label}.${extension}`;
    writeFileSync(join(out, file), data);
    entries.push({ file, label, family });
  }
  writeFileSync(join(out, 'labels.json'), `${JSON.stringify(entries, null, 1)}\n`);
}

async function writeDemo(out, random, sources) {
  for (const { file, label, font, side, ground, ink } of DEMO) {
    const face = sources.flat().find(({ path }) => path.endsWith(`/${font}`));
    if (!face)
      throw new Error(`${font} is not installed: see the HELD_OUT packages of this script.`);
    const glyph = await drawGlyph(face, label, random.between(-6, 6));
    const shares = { heightShare: 0.62, leftShare: 0.55, topShare: 0.45, blurShare: 0.006 };
    const coverage = await placeGlyph(glyph, { width: side, height: side, ...shares });
    const extension = file.slice(-3);
    const noise = extension === 'png' ? 0 : 4; // noise would make a PNG ten times as large
    const pixels = paint(random, coverage, ground, ink, noise);
    writeFileSync(join(out, file), await encode(pixels, side, side, extension, 85));
  }
}

/** @throws {Error} when an option is missing or no font is found */
async function main() {
  const { values: options } = parseArgs({
    options: {
      out: { type: 'string' },
      count: { type: 'string', default: '2400' },
      seed: { type: 'string', default: '1' },
      fonts: { type: 'string', multiple: true, default: [] },
      demo: { type: 'boolean', default: false },
    },
  });
  if (!options.out) throw new Error('Say where to write the pictures: --out DIR');
  const sources = findFaces(options.fonts);
  const random = new Random(Number(options.seed));
  mkdirSync(options.out, { recursive: true });
  if (options.demo) await writeDemo(options.out, random, sources);
  else await writeSamples(options.out, Number(options.count), random, sources);
}

try {
  await main();
} catch (error) {
  console.error(`render-samples: ${error.message}`);
  process.exitCode = 1;
}
