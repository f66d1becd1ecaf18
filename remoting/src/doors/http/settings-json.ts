import { AxleError } from '@axle/core/internal';

import { parametersMax } from '../door-limits.js';
import type { ServerSettings, SettingValue } from '../kserve/operator-settings.js';
import { isText, parseJson } from './json.js';

/** Settings as clients of Triton write them. @throws AxleError INVALID_ARGUMENT, RESOURCE_EXHAUSTED */
export function readSettings(body: Uint8Array, bytesMax: number): ServerSettings {
  const value = parseJson(body, bytesMax);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AxleError('INVALID_ARGUMENT', 'the settings are no object of JSON');
  }
  const entries = Object.entries(value);
  if (entries.length > parametersMax) {
    const message = `there are more than ${parametersMax} settings`;
    throw new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  }
  return new Map(entries.map(([name, each]) => [name, settingOf(name, each)]));
}

function settingOf(name: string, value: unknown): SettingValue {
  if (typeof value === 'boolean' || typeof value === 'number' || isText(value)) return value;
  // In Triton it puts a setting back.
  if (value === null) return [];
  if (Array.isArray(value) && value.length <= parametersMax && value.every(isText)) return value;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `setting '${name.slice(0, 64)}' is no text, number, boolean or list of texts`,
  );
}
