import { deepStrictEqual, ok } from 'node:assert';
import { createHash } from 'node:crypto';
import { resolve, sep } from 'node:path';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { readManifest } from '../../dist/store/manifest.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const ROOT = '/store/content';
const HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** @type {FuzzTarget} */
export const target = {
  about: 'manifests of models: what is read is the text again, and no name leads out of its folder',
  run(bytes) {
    const contentId = createHash('sha256').update(bytes).digest('hex');
    const manifest = onlyRefuses(() => readManifest(bytes, contentId));
    if (manifest === undefined) return;
    const { files } = manifest;
    const lines = files.map(({ sha256, bytes: size, name }) => `${sha256} ${size} ${name}\n`);
    deepStrictEqual(Buffer.from(lines.join('')), Buffer.from(bytes));
    for (const { name } of files) {
      const path = resolve(ROOT, name);
      ok(path.startsWith(ROOT + sep) && path === `${ROOT}/${name}`);
    }
    ok(Number.isSafeInteger(manifest.bytes));
  },
  seeds: () => [
    `${HASH} 12 model.onnx\n`,
    `${HASH} 0 a/b.bin\n${HASH} 281474976710656 config.pbtxt\n${HASH} 7 labels.txt\n`,
  ],
  dictionary: [HASH, ' 1 ', '\n', '../', './', '//', '\0', 'é'],
};
