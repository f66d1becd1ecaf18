import { argumentError } from './argument-error.js';
import { AxleError } from './errors.js';

/**
 * Every bound that core puts on what comes from outside. A session may lower them; none is unlimited.
 */
export interface Limits {
  /** Encoded image handed to decode, bytes. */
  readonly imageBytesMax: number;
  /** Width x height of an image, pixels: what decoding may cost, whatever its file says. */
  readonly imagePixelsMax: number;
  /** Time to decode one image, seconds. */
  readonly imageDecodeSecondsMax: number;
  /** Whole input of one compress or decompress call, bytes; streams have no such limit. */
  readonly payloadBytesMax: number;
  /** Whole output of one call, bytes. */
  readonly outputBytesMax: number;
  /** Names and values of the arguments of one call, bytes; the addon takes no more than the default either. */
  readonly argBytesMax: number;
  /** One file of a model, bytes. */
  readonly modelFileBytesMax: number;
  /** Files of a model. */
  readonly modelFilesMax: number;
  /** config.pbtxt or labels.txt, bytes. */
  readonly modelTextBytesMax: number;
  /** Models that one session has open: read, and kept for further calls. The one used longest ago is read again. */
  readonly openedModelsMax: number;
  /** Files of those models together, bytes; one model alone may have more. */
  readonly openedModelBytesMax: number;
  /** Models loaded on one device. For one more, those that no call uses go, the one used longest ago first. */
  readonly deviceModelsMax: number;
  /** The same in bytes, on a device that does not say how much memory it has. */
  readonly deviceModelBytesMax: number;
  /** Results of classify. */
  readonly topKMax: number;
  /** Calls of one session that have not been answered; one more is refused. */
  readonly callsInFlightMax: number;
  /** Tensors that one client keeps between calls. */
  readonly keptTensorsMax: number;
  /** The same in bytes. A server has a limit of its own besides. */
  readonly keptBytesMax: number;
  /** Elements of one array call that are worked on at once; the rest wait in the call, not in a queue. */
  readonly arrayConcurrency: number;
  /** Tasks that wait for one device; one more is refused. */
  readonly queueDepthMax: number;
  /** The same of one tenant, so that others find room; a process of one tenant has no use for it. */
  readonly tenantQueueDepthMax: number;
  /** How long `close` waits for devices to end what they run, milliseconds. */
  readonly closeMsMax: number;
  /** One write to a codec's stream, bytes; larger ones are cut. */
  readonly streamWriteBytesMax: number;
  /** Most output of one write to a codec's stream, bytes. */
  readonly streamOutputBytesMax: number;
}

const MiB = 1024 * 1024;

export const defaultLimits: Limits = {
  imageBytesMax: 64 * MiB,
  imagePixelsMax: 100_000_000,
  imageDecodeSecondsMax: 20,
  payloadBytesMax: 2048 * MiB,
  outputBytesMax: 2048 * MiB,
  argBytesMax: 16 * MiB,
  modelFileBytesMax: 2048 * MiB,
  modelFilesMax: 256,
  modelTextBytesMax: MiB,
  openedModelsMax: 256,
  openedModelBytesMax: 8192 * MiB,
  deviceModelsMax: 64,
  deviceModelBytesMax: 16_384 * MiB,
  topKMax: 1000,
  callsInFlightMax: 4096,
  keptTensorsMax: 4096,
  keptBytesMax: 1024 * MiB,
  arrayConcurrency: 64,
  queueDepthMax: 4096,
  tenantQueueDepthMax: 4096,
  closeMsMax: 10_000,
  streamWriteBytesMax: 8 * MiB,
  streamOutputBytesMax: 16 * MiB,
};

/**
 * The default limits with some of them changed.
 *
 * @throws AxleError INVALID_ARGUMENT for one that does not exist or is no whole number from 1 up.
 */
export function limitsWith(changes: Partial<Limits>): Limits {
  if (typeof changes !== 'object' || changes === null) {
    throw argumentError("'limits'", changes, 'an object of limits by name');
  }
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(defaultLimits, name)) {
      const known = Object.keys(defaultLimits).join(', ');
      throw new AxleError('INVALID_ARGUMENT', `there is no limit '${name}'; there are: ${known}`);
    }
    if (!Number.isSafeInteger(value) || value < 1) {
      throw argumentError(`limit ${name}`, value, 'a whole number from 1 up');
    }
  }
  return { ...defaultLimits, ...changes };
}
