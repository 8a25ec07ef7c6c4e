import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { BLOCKED_CODE } from './classify.ts';
import { mergeCorkedWrites } from './corked-socket.ts';
import { directReads, takeDirectReads } from './direct-reads.ts';

export type Connector = buildConnector.connector;

/** Says why an address may not be reached, or null when it may. */
export type AddressGuard = (address: string) => string | null;

/** What the connector needs of a resolver. */
export interface AddressSource {
  resolve(name: string): Promise<readonly string[]>;
}

export class AddressBlockedError extends Error {
  readonly code = BLOCKED_CODE;

  constructor(address: string, why: string) {
    super(`${address} may not be reached: ${why}`);
    this.name = 'AddressBlockedError';
  }
}

/**
 * Connects only to addresses the guard lets through, judged on the very address
 * that is used, for literals and names alike: a check at write time alone is
 * undone by DNS rebinding. One forbidden address among a name's answers blocks
 * the name, since which one is used would be up to the attacker.
 */
export function guardedConnector(
  addresses: AddressSource,
  guard: AddressGuard,
  options: { readonly connectTimeoutMs: number },
): Connector {
  const connect = buildConnector({ timeout: options.connectTimeoutMs, allowH2: false, ...directReads });
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0) {
      connectToFirst([host], target, callback);
      return;
    }
    addresses.resolve(host).then(
      (found) => {
        connectToFirst(found, { ...target, servername: target.servername ?? host }, callback);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)), null);
      },
    );
  };

  function connectToFirst(
    found: readonly string[],
    target: buildConnector.Options,
    callback: buildConnector.Callback,
  ): void {
    // Without an address a socket would be opened to localhost, which nobody has judged.
    if (found.length === 0) {
      callback(new Error(`${target.hostname} has no address`), null);
      return;
    }
    for (const address of found) {
      const blocked = guard(address);
      if (blocked !== null) {
        callback(new AddressBlockedError(address, blocked), null);
        return;
      }
    }
    tryInTurn(found, 0, target, callback);
  }

  function tryInTurn(
    found: readonly string[],
    index: number,
    target: buildConnector.Options,
    callback: buildConnector.Callback,
  ): void {
    connect({ ...target, hostname: found[index] as string }, (...result) => {
      const [error, socket] = result;
      if (error !== null && index + 1 < found.length) {
        tryInTurn(found, index + 1, target, callback);
        return;
      }
      if (error === null) {
        mergeCorkedWrites(socket);
        takeDirectReads(socket);
      }
      callback(...result);
    });
  }
}
