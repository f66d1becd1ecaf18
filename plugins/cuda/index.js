import { fileURLToPath } from 'node:url';

const LIBRARY = fileURLToPath(new URL('build/libaxle_cuda.so', import.meta.url));

export const plugin = Object.freeze({ name: 'cuda', path: LIBRARY, options: Object.freeze({}) });
