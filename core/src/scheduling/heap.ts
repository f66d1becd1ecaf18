/** Where an entry is in its heap; -1 outside. Only the heap writes it. */
export interface HeapEntry {
  heapIndex: number;
}

/** A binary heap whose entries know their place, so that any of them can be taken out in logarithmic time. */
export class Heap<E extends HeapEntry> {
  private entries: E[] = [];

  constructor(private readonly goesBefore: (a: E, b: E) => boolean) {}

  get size(): number {
    return this.entries.length;
  }

  peek(): E | undefined {
    return this.entries[0];
  }

  /** In no order. */
  values(): readonly E[] {
    return this.entries;
  }

  push(entry: E): void {
    this.entries.push(entry);
    this.up(entry, this.entries.length - 1);
  }

  /** Takes all out, in order. Entries that came in order, as most do, are not sorted anew. */
  drain(): E[] {
    const { entries, goesBefore } = this;
    this.entries = [];
    let inOrder = true;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as E;
      entry.heapIndex = -1;
      if (i > 0 && goesBefore(entry, entries[i - 1] as E)) inOrder = false;
    }
    return inOrder ? entries : entries.sort((a, b) => (goesBefore(a, b) ? -1 : 1));
  }

  /** `entry` must be in this heap. */
  remove(entry: E): void {
    const index = entry.heapIndex;
    const last = this.entries.pop() as E;
    entry.heapIndex = -1;
    if (last === entry) return;
    this.up(last, index);
    this.down(last, last.heapIndex);
  }

  private up(entry: E, from: number): void {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >>> 1;
      const parent = this.entries[parentIndex] as E;
      if (!this.goesBefore(entry, parent)) break;
      this.put(parent, index);
      index = parentIndex;
    }
    this.put(entry, index);
  }

  private down(entry: E, from: number): void {
    let index = from;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= this.entries.length) break;
      const child = this.earlierOf(left, left + 1);
      const below = this.entries[child] as E;
      if (!this.goesBefore(below, entry)) break;
      this.put(below, index);
      index = child;
    }
    this.put(entry, index);
  }

  private earlierOf(left: number, right: number): number {
    const other = this.entries[right];
    return other !== undefined && this.goesBefore(other, this.entries[left] as E) ? right : left;
  }

  private put(entry: E, index: number): void {
    this.entries[index] = entry;
    entry.heapIndex = index;
  }
}
