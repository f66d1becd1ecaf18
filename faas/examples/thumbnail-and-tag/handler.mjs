import sharp from 'sharp';

const sidePixels = 96;

/**
 * The body is an image; the answer has a small one, and tags of it: each step works on what the one before made.
 *
 * @param {import('@axle/faas').FunctionEvent} event
 * @param {import('@axle/faas').FunctionContext} context
 */
export default async function thumbnailAndTag(event, { axle, signal }) {
  const image = await event.bytes();
  const thumbnail = await sharp(image)
    .resize(sidePixels, sidePixels, { fit: 'inside' })
    .png()
    .toBuffer();
  const { results, device, timingMs } = await axle.classify(thumbnail, { topK: 3, signal });
  const archive = await axle.compress(image, { codec: 'zstd', signal });
  return {
    status: 200,
    headers: { 'x-axle-report': JSON.stringify({ device, timingMs }) },
    body: {
      labels: results.map(({ label, score }) => ({ label, score })),
      thumbnail: `data:image/png;base64,${thumbnail.toString('base64')}`,
      bytes: { image: image.byteLength, archived: archive.data.byteLength },
      device,
      timingMs,
    },
  };
}
