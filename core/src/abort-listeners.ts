interface Listeners {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const listenersOf = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `callback` when the signal aborts, until the returned function is called. However many calls share a signal,
 * it has one listener: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const listeners = listenersOf.get(signal) ?? listenTo(signal);
  listeners.callbacks.add(callback);
  return () => {
    listeners.callbacks.delete(callback);
    if (listeners.callbacks.size > 0) return;
    signal.removeEventListener('abort', listeners.listener);
    listenersOf.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Listeners {
  const callbacks = new Set<() => void>();
  const listener = () => {
    for (const callback of [...callbacks]) callback();
  };
  signal.addEventListener('abort', listener);
  const listeners = { callbacks, listener };
  listenersOf.set(signal, listeners);
  return listeners;
}
