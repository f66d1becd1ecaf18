import { AxleError, Tensor } from 'axle';

/**
 * The body is JSON, {"inputs": {NAME: {"shape": [1, 1, 32, 32], "data": [numbers]}}}, of tensors of 32-bit floats; the answer
 * has the outputs in the same form.
 *
 * @param {import('@axle/faas').FunctionEvent} event
 * @param {import('@axle/faas').FunctionContext} context
 */
export default async function inferJson(event, { axle, signal }) {
  const inputs = inputsOf(await event.json());
  const { outputs, device, timingMs } = await axle.infer('mlp', inputs, { signal });
  const results = Object.entries(outputs).map(([name, { shape, data }]) => [
    name,
    { shape, data: Array.from(/** @type {Float32Array} */ (data)) },
  ]);
  return {
    status: 200,
    headers: { 'x-axle-report': JSON.stringify({ device, timingMs }) },
    body: { outputs: Object.fromEntries(results), device, timingMs },
  };
}

/**
 * @param {unknown} body
 * @returns {Record<string, Tensor>}
 */
function inputsOf(body) {
  const { inputs } =
    /** @type {{ inputs?: Record<string, { shape: number[], data: number[] }> }} */ (body ?? {});
  if (typeof inputs !== 'object' || inputs === null) throw wrong();
  const tensors = Object.entries(inputs).map(([name, input]) => {
    if (!Array.isArray(input?.shape) || !Array.isArray(input.data)) throw wrong();
    return [name, Tensor.from('FP32', Float32Array.from(input.data), input.shape)];
  });
  return Object.fromEntries(tensors);
}

function wrong() {
  return new AxleError(
    'INVALID_ARGUMENT',
    'give {"inputs": {NAME: {"shape": [...], "data": [numbers]}}}',
  );
}
