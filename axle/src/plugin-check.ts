// Apart from the rest, which loads sooner without it.
export * from '@axle/core/plugin-check';
