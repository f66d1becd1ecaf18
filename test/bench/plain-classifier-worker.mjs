import './no-telemetry.mjs';

import { parentPort } from 'node:worker_threads';

import { openPlainClassifier } from './plain-classifier.mjs';

const classify = await openPlainClassifier();
parentPort?.on('message', (/** @type {readonly string[]} */ images) => {
  void (async () => {
    for (const image of images) await classify(image);
    parentPort?.postMessage('done');
  })();
});
parentPort?.postMessage('ready');
