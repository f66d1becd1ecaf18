/** Whether memory can shrink or grow while a device reads it, so that it has to be copied first. */
export function isResizable(memory: ArrayBufferLike): boolean {
  const { resizable, growable } = memory as { resizable?: boolean; growable?: boolean };
  return resizable === true || growable === true;
}
