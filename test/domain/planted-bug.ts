import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const SRC = path.resolve(import.meta.dirname, '../../src');

/**
 * Loads a copy of a pure source file with some of its text replaced: a variant
 * with a planted bug, or one that starts where a test could not get in time. A
 * property that passes on such a bug proves nothing.
 *
 * @param file path below src/; it may import types only.
 * @param changes pairs (text that occurs once, what stands there instead).
 * @throws Error when a text does not occur exactly once, so that a variant can't silently become the original.
 */
export async function variantOf<Module>(
  file: string,
  ...changes: readonly (readonly [from: string, to: string])[]
): Promise<Module> {
  let text = readFileSync(path.join(SRC, file), 'utf8');
  for (const [from, to] of changes) {
    const parts = text.split(from);
    if (parts.length !== 2)
      throw new Error(`${file} has ${parts.length - 1} × ${JSON.stringify(from)}, not 1`);
    text = parts.join(to);
  }
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    },
  });
  const url = `data:text/javascript;base64,${Buffer.from(outputText).toString('base64')}`;
  return (await import(/* @vite-ignore */ url)) as Module;
}
