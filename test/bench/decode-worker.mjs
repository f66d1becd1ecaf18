import sharp from 'sharp';

/** @param {string} path */
export function decode(path) {
  return sharp(path)
    .flatten({ background: '#fff' })
    .resize(48, 48, { fit: 'fill' })
    .raw()
    .toBuffer();
}

// piscina calls a module's default export.
export { decode as default };
