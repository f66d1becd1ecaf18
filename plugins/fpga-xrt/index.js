import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(new URL('build/libaxle_fpga_xrt.so', import.meta.url));

export const plugin = Object.freeze({
  name: 'fpga-xrt',
  path: LIBRARY,
  options: Object.freeze({}),
});
