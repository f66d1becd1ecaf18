/**
 * Applies `work` to each item, `concurrency` of them at once, and gives the results in the order of the items. Results
 * that wait for an earlier one count as in progress, so memory is bounded by `concurrency`.
 */
export async function* mapInOrder<T, R>(
  items: Iterable<T>,
  concurrency: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const inProgress: Promise<R>[] = [];
  for (const item of items) {
    const promise = work(item);
    // It is awaited later, in order; until then its failure is not unhandled.
    promise.catch(() => undefined);
    inProgress.push(promise);
    if (inProgress.length >= concurrency) yield await (inProgress.shift() as Promise<R>);
  }
  for (const promise of inProgress) yield await promise;
}
