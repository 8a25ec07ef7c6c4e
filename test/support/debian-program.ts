import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * The path of a program that Debian has, or null after one line where it is not installed.
 *
 * @param fromPackage the Debian package that has it.
 * @throws Error where CI=true: there the package belongs to the machine.
 */
export function debianProgram(name: string, fromPackage: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  const missing = `${name} is not installed (apt-get install ${fromPackage})`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  console.info(`${missing}: its tests are left out`);
  return null;
}
