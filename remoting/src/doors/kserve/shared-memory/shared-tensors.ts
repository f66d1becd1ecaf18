import { AxleError } from '@axle/core/internal';

import type { DoorClient } from '../../door-clients.js';
import type { AnswerOutput, InferRequest, Parameters, RequestInput } from '../infer-request.js';
import { countOf, textOf } from '../parameters.js';
import type { SharedRegion } from './shared-region.js';
import type { SharedRegions } from './shared-regions.js';

const regionParameter = 'shared_memory_region';
const bytesParameter = 'shared_memory_byte_size';
const offsetParameter = 'shared_memory_offset';

interface Place {
  readonly region: SharedRegion;
  readonly offset: number;
  readonly bytes: number;
}

/** Whether some tensor of a request is said to lie in shared memory. */
export function sharesMemory({ inputs, outputs }: InferRequest): boolean {
  return inputs.some(isShared) || outputs.some(isShared);
}

/** The tensors of one inference that lie in regions of its sender. */
export class SharedTensors {
  /** Of inputs. */
  readonly bytes: number;
  private readonly inputs: readonly (Place | undefined)[];
  private readonly outputs: readonly (Place | undefined)[];

  /**
   * Until `release`, the regions stay open.
   *
   * @throws AxleError NOT_FOUND, OUT_OF_RANGE, INVALID_ARGUMENT
   */
  constructor(regions: SharedRegions, { tenant }: DoorClient, { inputs, outputs }: InferRequest) {
    const placeOf = (name: string, parameters: Parameters) => {
      const [region, bytes] = [
        textOf(parameters, regionParameter),
        countOf(parameters, bytesParameter),
      ];
      if (region === undefined && bytes === undefined) return undefined;
      if (region === undefined || bytes === undefined) {
        throw wrong(`tensor '${name}' lies in shared memory; give its region and its byte size`);
      }
      const place = {
        region: regions.find(tenant.name, region),
        offset: countOf(parameters, offsetParameter) ?? 0,
        bytes,
      };
      place.region.check(place.offset, bytes);
      return place;
    };
    this.inputs = inputs.map(({ name, parameters, data }) => {
      const place = placeOf(name, parameters);
      if (place === undefined || data === undefined) return place;
      throw wrong(`input '${name}' has both data and a region of shared memory; give one`);
    });
    this.outputs = outputs.map(({ name, parameters }) => placeOf(name, parameters));
    this.bytes = this.inputs.reduce((sum, place) => sum + (place?.bytes ?? 0), 0);
    for (const { region } of this.places) region.enter();
  }

  release(): void {
    for (const { region } of this.places) region.leave();
  }

  /** A copy: what the client changes from now on changes nothing. @throws AxleError OUT_OF_RANGE */
  async read(inputs: readonly RequestInput[]): Promise<RequestInput[]> {
    return Promise.all(
      inputs.map(async (input, index) => {
        const place = this.inputs[index];
        if (place === undefined) return input;
        return { ...input, data: await place.region.read(place.offset, place.bytes) };
      }),
    );
  }

  /** @param outputs as they were asked for. @throws AxleError OUT_OF_RANGE */
  async write(outputs: readonly AnswerOutput[]): Promise<AnswerOutput[]> {
    return Promise.all(
      outputs.map(async (output, index) => {
        const place = this.outputs[index];
        if (place === undefined) return output;
        const { name, tensor } = output;
        const { region, offset, bytes } = place;
        if (tensor.byteLength > bytes) {
          throw new AxleError(
            'OUT_OF_RANGE',
            `output '${name}' has ${tensor.byteLength} bytes, and its place in region '${region.spec.name}' ${bytes}`,
          );
        }
        await region.write(offset, tensor.segments);
        return { ...output, elsewhere: parametersOf(place, tensor.byteLength) };
      }),
    );
  }

  private get places(): Place[] {
    return [...this.inputs, ...this.outputs].filter((place) => place !== undefined);
  }
}

/** What the answer says of an output that is not in it. */
function parametersOf({ region, offset }: Place, bytes: number): Parameters {
  return new Map<string, string | number>([
    [regionParameter, region.spec.name],
    [offsetParameter, offset],
    [bytesParameter, bytes],
  ]);
}

function isShared({ parameters }: { readonly parameters: Parameters }): boolean {
  return parameters.has(regionParameter) || parameters.has(bytesParameter);
}

function wrong(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}
