/** `object[name] = value` for names from elsewhere: '__proto__' is a name like any other. */
export function setOwn<T>(object: Record<string, T>, name: string, value: T): void {
  if (name !== '__proto__') {
    object[name] = value;
    return;
  }
  const asAssigned = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(object, name, asAssigned);
}
