/** The handles that were added last, without making garbage. */
export class RecentHandles {
  private readonly handles: Float64Array;
  private next = 0;

  constructor(size: number) {
    this.handles = new Float64Array(size);
  }

  add(handle: number): void {
    this.handles[this.next] = handle;
    this.next = (this.next + 1) % this.handles.length;
  }

  has(handle: number): boolean {
    return this.handles.includes(handle);
  }
}
