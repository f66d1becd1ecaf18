import { timerMsMax } from '@axle/core/internal';

/** Waits for `work` for so long at most, milliseconds; it goes on. @throws as `work` does meanwhile. */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms, timerMsMax));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
