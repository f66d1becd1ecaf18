/** Letters, digits, `.`, `_` and `-`, at most 127 of them, a letter or digit first. */
export const tenantNamePattern = /^[A-Za-z0-9][\w.-]{0,126}$/;

export function isTenantName(value: string): boolean {
  return tenantNamePattern.test(value);
}

/** Of whoever reaches a listener that asks for nothing. */
export const anonymousTenant = 'local';
