import { InvalidArgumentError, Option, type Command } from 'commander';

import { UsageError } from '../failure.js';
import {
  addDeviceOptions,
  addJsonOption,
  addModelsOption,
  addPluginsOption,
  byteCount,
  wholeNumber,
  type DeviceOptions,
  type JsonOption,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { parseLevelRange, type LevelRange } from './level-range.js';

const msMax = 3_600_000;
const requestsMax = 1_000_000_000;
/** Requests that are outstanding at once, by either way of making them. */
const outstandingMax = 16_384;
/** Requests a second. */
const rateMax = 1_000_000;
const rateMin = 0.001;
const batchMax = 65_536;
const dimensionsMax = 64;

type TensorForm = 'binary' | 'json';

/** As commander reads them. */
export interface PerfCommandOptions extends DeviceOptions, JsonOption, ModelsOption, PluginsOption {
  readonly door?: string;
  readonly concurrencyRange?: string;
  readonly requestRateRange?: string;
  readonly requestDistribution: 'constant' | 'poisson';
  readonly maxOutstanding: number;
  readonly binarySearch?: true;
  readonly latencyThreshold?: number;
  readonly percentile?: number;
  readonly measurementInterval: number;
  readonly stabilityPercentage: number;
  readonly maxTrials: number;
  readonly requestCount?: number;
  readonly warmupRequestCount: number;
  readonly batchSize: number;
  readonly shape?: ReadonlyMap<string, readonly number[]>;
  readonly inputData: string;
  readonly stringLength: number;
  readonly inputTensorFormat: TensorForm;
  readonly outputTensorFormat: TensorForm;
  readonly file?: string;
  readonly size: number;
  readonly seed: number;
  readonly csv?: string;
}

export function addPerfOptions(command: Command): Command {
  command
    .option(
      '--door <url>',
      'through a door of KServe: grpc://HOST:PORT, http+unix:/PATH, as serve prints it',
    )
    .option(
      '--concurrency-range <start:end:step>',
      'requests that are outstanding at all times; 1 by default',
    )
    .option(
      '--request-rate-range <start:end:step>',
      'requests a second, whether or not answers come',
    )
    .addOption(
      new Option('--request-distribution <how>', 'with a rate: how requests are spread over time')
        .choices(['constant', 'poisson'])
        .default('constant'),
    )
    .option(
      '--max-outstanding <n>',
      'with a rate: when so many have no answer yet, those due are counted and not sent',
      wholeNumber(1, outstandingMax),
      1024,
    )
    .option(
      '-l, --latency-threshold <ms>',
      'end the search where the latency is longer, or a request fails or is not sent',
      positive,
    )
    .option(
      '--binary-search',
      'halve the range until the largest load within the threshold is known',
    )
    .option('--percentile <n>', 'the latency that is compared; the mean by default', percent)
    .option('-p, --measurement-interval <ms>', 'of one measurement', wholeNumber(10, msMax), 5000)
    .option(
      '-s, --stability-percentage <n>',
      'how far three measurements in a row may differ',
      positive,
      10,
    )
    .option('-r, --max-trials <n>', 'measurements, stable or not', wholeNumber(1, 1000), 10)
    .option('--request-count <n>', 'measure so many requests, once', wholeNumber(1, requestsMax))
    .option(
      '--warmup-request-count <n>',
      'requests before all that is measured',
      wholeNumber(0, requestsMax),
      0,
    )
    .option('-b, --batch-size <n>', 'items in each request', wholeNumber(1, batchMax), 1)
    .option('--shape <name:d1,d2>', 'of an input, without the batch; may be repeated', addShape)
    .option(
      '--input-data <random|zero|file>',
      'random, zero, or a JSON file: {"data": [{"INPUT": [...]}]}',
      'random',
    )
    .option('--string-length <n>', 'characters of random text', wholeNumber(0, 1_000_000), 128)
    .addOption(tensorForm('--input-tensor-format <form>', 'through REST: how inputs go'))
    .addOption(tensorForm('--output-tensor-format <form>', 'through REST: how outputs come'))
    .option('--file <file>', 'of classify, compress and decompress: what they work on')
    .option('--size <bytes>', "of echo: '500', '64K'", byteCount, 64)
    .option('--seed <n>', 'of random inputs and arrivals', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('-f, --csv <file>', 'write a line for each load, with the columns of perf_analyzer');
  return addPluginsOption(addModelsOption(addDeviceOptions(addJsonOption(command))));
}

function tensorForm(flags: string, description: string): Option {
  return new Option(flags, description).choices(['binary', 'json']).default('binary');
}

function positive(text: string): number {
  const value = Number(text);
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text) || value === 0) {
    throw new InvalidArgumentError('It is a number over 0.');
  }
  return value;
}

function percent(text: string): number {
  const value = Number(text);
  if (!/^\d{1,2}(\.\d{1,9})?$/.test(text) || value === 0) {
    throw new InvalidArgumentError('It is a number over 0 and under 100, such as 95 or 99.9.');
  }
  return value;
}

function addShape(
  text: string,
  before: ReadonlyMap<string, readonly number[]> | undefined,
): ReadonlyMap<string, readonly number[]> {
  const at = text.lastIndexOf(':');
  const sizes = text.slice(at + 1).split(',');
  if (at < 1 || sizes.length > dimensionsMax || !sizes.every((size) => /^\d{1,9}$/.test(size))) {
    throw new InvalidArgumentError("It is NAME:D1,D2, such as 'image:3,224,224'.");
  }
  return new Map([...(before ?? []), [text.slice(0, at), sizes.map(Number)]]);
}

/** What is varied from level to level. */
export interface Search {
  readonly by: 'concurrency' | 'rate';
  readonly range: LevelRange;
  /** Of a range without an end. */
  readonly levelMax: number;
  readonly halves: boolean;
}

/** @throws UsageError for options that do not go together. */
export function readSearch(options: PerfCommandOptions): Search {
  const { concurrencyRange, requestRateRange, binarySearch = false, latencyThreshold } = options;
  if (concurrencyRange !== undefined && requestRateRange !== undefined) {
    throw new UsageError(
      '--concurrency-range and --request-rate-range exclude each other: callers that await their answers have no rate of ' +
        'their own',
    );
  }
  const search =
    requestRateRange === undefined
      ? concurrencySearch(concurrencyRange ?? '1')
      : rateSearch(requestRateRange);
  const { range } = search;
  if (latencyThreshold === undefined && (range.end === Infinity || binarySearch)) {
    const what = binarySearch ? '--binary-search' : 'a range without an end';
    throw new UsageError(`${what} goes with --latency-threshold`);
  }
  if (binarySearch && (range.end === Infinity || range.end === range.start)) {
    throw new UsageError('--binary-search takes a range with a start and an end');
  }
  return { ...search, halves: binarySearch };
}

function concurrencySearch(text: string): Omit<Search, 'halves'> {
  const rule = { option: '--concurrency-range', min: 1, max: outstandingMax, isWhole: true };
  return { by: 'concurrency', range: parseLevelRange(text, rule), levelMax: outstandingMax };
}

function rateSearch(text: string): Omit<Search, 'halves'> {
  const rule = { option: '--request-rate-range', min: rateMin, max: rateMax, isWhole: false };
  return { by: 'rate', range: parseLevelRange(text, rule), levelMax: rateMax };
}
