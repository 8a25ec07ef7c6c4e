import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Why this is no readable file, or null. */
export function fileProblem(file: string): string | null {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile() !== true) return `is not allowed: ${file} is no file`;
  return isAccessible(file, constants.R_OK) ? null : `is not allowed: ${file} is not readable`;
}

/** Why this is no readable folder, or null. */
export function folderProblem(folder: string): string | null {
  if (!isFolder(folder)) return `is not allowed: ${folder} is no folder`;
  return isAccessible(folder, constants.R_OK) ? null : `is not allowed: ${folder} is not readable`;
}

/** Why nothing can be written to this folder, which need not be there yet; or null. */
export function writableFolderProblem(folder: string): string | null {
  let existing = folder;
  while (!isThere(existing)) existing = path.dirname(existing);
  if (!isFolder(existing)) return `is not allowed: ${existing} is no folder`;
  const isWritable = isAccessible(existing, constants.W_OK | constants.X_OK);
  return isWritable ? null : `is not allowed: ${existing} is not writable`;
}

export function readTextFile(file: string): string {
  return readFileSync(file, 'utf8');
}

function isThere(file: string): boolean {
  return isAccessible(file, constants.F_OK);
}

function isFolder(folder: string): boolean {
  return isThere(folder) && statSync(folder).isDirectory();
}

function isAccessible(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}
