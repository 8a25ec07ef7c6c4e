/**
 * A value that avsc decoded with what JSON has no form for replaced, in place:
 * bytes and fixed become base64 text, the wrapper objects of ambiguous unions
 * their content.
 */
export function toJsonValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (isBranch(value)) return toJsonValue(value.unwrap());
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = toJsonValue(value[i]);
    return value;
  }
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) fields[name] = toJsonValue(fields[name]);
  return fields;
}

/** Decoded data holds no functions, so only avsc's wrapper of a union's branch has this method. */
function isBranch(value: object): value is { unwrap(): unknown } {
  return 'unwrap' in value && typeof value.unwrap === 'function';
}
