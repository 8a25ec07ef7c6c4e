import { isRecord } from './fields.ts';

/** Keys from the top of the configuration down; a number is a place in a list. */
export type Path = readonly (string | number)[];

/** As problems and the reference spell it: `destinations[2].url`. */
export function pathText(path: Path): string {
  return path
    .map((key, depth) => (typeof key === 'number' ? `[${key}]` : depth === 0 ? key : `.${key}`))
    .join('');
}

export function isWithinPath(path: Path, ancestor: Path): boolean {
  return ancestor.length <= path.length && ancestor.every((key, depth) => path[depth] === key);
}

export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else if (isRecord(value) && Object.hasOwn(value, key)) value = value[key];
    else return undefined;
  }
  return value;
}

/** Changes `root` in place; what is no map on the way (`off`, say) becomes one. */
export function setAt(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = root;
  for (const key of path.slice(0, -1)) {
    const next = at[key];
    at = isRecord(next) ? next : (at[key] = {});
  }
  const last = path.at(-1);
  if (last !== undefined) at[last] = value;
}

/** A copy without these; an entry of a list becomes an empty map instead, so that the others keep their places. */
export function withoutPaths(root: unknown, paths: readonly Path[]): unknown {
  let copy = structuredClone(root);
  for (const path of paths) {
    const key = path.at(-1);
    const parent = valueAt(copy, path.slice(0, -1));
    if (key === undefined) copy = {};
    else if (Array.isArray(parent)) parent[Number(key)] = {};
    else if (isRecord(parent)) Reflect.deleteProperty(parent, key);
  }
  return copy;
}
