/**
 * The body is an image; the answer says what is on it, best first.
 *
 * @param {import('@axle/faas').FunctionEvent} event
 * @param {import('@axle/faas').FunctionContext} context
 */
export default async function classifyImage(event, { axle, signal, remainingMs }) {
  const result = await axle.classify(await event.bytes(), {
    topK: 3,
    signal,
    deadlineMs: remainingMs(),
  });
  const labels = result.results.map(({ label, score }) => ({ label, score }));
  const { device, timingMs } = result;
  return {
    status: 200,
    headers: { 'x-axle-report': JSON.stringify({ device, timingMs }) },
    body: { model: result.model, device, labels, timingMs },
  };
}
