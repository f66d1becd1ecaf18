import { HandleTable } from '../handle-table.js';
import { WireError } from '../wire/wire-error.js';

/** Handles of a connection rise and are never used again: those that are open, by number. */
export class Handles<T> {
  private readonly open = new HandleTable<T>();
  private highest = 0;

  /** The highest that was made. */
  get last(): number {
    return this.highest;
  }

  get size(): number {
    return this.open.size;
  }

  /** @throws WireError HANDLE_REUSED. */
  make(id: number): void {
    if (id <= this.highest) throw new WireError('HANDLE_REUSED', `handle ${id}`);
    this.highest = id;
  }

  set(id: number, value: T): void {
    this.open.add(id, value);
  }

  /** Undefined: it is closed. @throws WireError HANDLE_UNKNOWN for one that was never made. */
  get(id: number): T | undefined {
    if (id > this.highest) throw new WireError('HANDLE_UNKNOWN', `handle ${id}`);
    return this.open.get(id);
  }

  /** Closes all. */
  takeAll(): T[] {
    return this.open.takePast(0).map(([, value]) => value);
  }

  close(id: number): void {
    this.open.delete(id);
  }
}
