import { isIP } from 'node:net';
import { compileRanges } from '../domain/addresses.ts';
import type { CompiledRanges } from '../domain/addresses.ts';

/** The ranges among `entries` that are well formed; the others are a problem of their own. */
export function compileAllowed(entries: readonly string[]): CompiledRanges {
  return entries.flatMap((entry) => {
    try {
      return compileRanges([entry]);
    } catch {
      return [];
    }
  });
}

/** The forms `dns.Resolver.setServers` takes. */
export function isNameServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = bracketed === undefined ? isIP(plain ?? '') === 4 : isIP(bracketed) === 6;
  return isAddress && Number(port) >= 1 && Number(port) <= 65_535;
}
