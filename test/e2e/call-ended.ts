import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Settles when the next call of this process has ended, after all who subscribed before know of it. */
export function callEnded(): Promise<void> {
  const name = 'tracing:axle.call:asyncEnd';
  return new Promise((resolve) => {
    const onEnd = () => {
      unsubscribe(name, onEnd);
      resolve();
    };
    subscribe(name, onEnd);
  });
}
