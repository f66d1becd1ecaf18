interface Entry<V> {
  readonly value: V;
  usedAt: number;
}

/**
 * A map of at most so many entries, which forgets the one that was used longest ago.
 *
 * A use is marked by a number and not by the entry's place in the map: a Map from which as much is deleted as is added
 * makes a new table every few calls. So a look-up costs what it costs in a Map, and adding to a full map looks at all
 * of its entries.
 */
export class LruMap<K, V> {
  private readonly entries = new Map<K, Entry<V>>();
  private uses = 0;

  constructor(private readonly entriesMax: number) {}

  get size(): number {
    return this.entries.size;
  }

  /** Marks it as used. */
  get(key: K): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    entry.usedAt = ++this.uses;
    return entry.value;
  }

  set(key: K, value: V): void {
    this.entries.set(key, { value, usedAt: ++this.uses });
    if (this.entries.size > this.entriesMax) this.deleteOldest();
  }

  delete(key: K): void {
    this.entries.delete(key);
  }

  /** Forgets the one that was used longest ago. */
  deleteOldest(): void {
    let oldest: K | undefined;
    let oldestAt = Infinity;
    for (const [key, { usedAt }] of this.entries) {
      if (usedAt >= oldestAt) continue;
      oldest = key;
      oldestAt = usedAt;
    }
    if (oldest !== undefined) this.entries.delete(oldest);
  }

  /** From any of them; not marked as used. */
  values(): V[] {
    return [...this.entries.values()].map(({ value }) => value);
  }
}
