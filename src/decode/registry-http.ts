import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { RegistryConfig } from '../config/config.ts';
import { messageOf } from '../domain/errors.ts';
import { RegistryUnavailable } from './errors.ts';

export interface RegistryAnswer {
  readonly status: number;
  /** Null when the body is longer than the bound. */
  readonly body: string | null;
}

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

/**
 * One GET. The whole exchange shares one deadline, the body is read no further
 * than `maxBytes`, redirects are answers like any other.
 *
 * @param path is appended to the registry's base URL.
 * @throws RegistryUnavailable when no complete answer came, saying what happened.
 */
export async function getFromRegistry(
  config: RegistryConfig,
  path: string,
  maxBytes: number,
): Promise<RegistryAnswer> {
  const signal = AbortSignal.timeout(config.timeoutMs);
  try {
    const response = await send(config, path, signal);
    return { status: response.statusCode ?? 0, body: await readBody(response, maxBytes) };
  } catch (error) {
    const cause = signal.aborted ? `no answer within ${config.timeoutMs} ms` : reasonOf(error);
    throw new RegistryUnavailable(`${describe(config, path)}: ${cause}`, { cause: error });
  }
}

/** The request in words, without credentials. */
export function describe(config: RegistryConfig, path: string): string {
  const url = urlOf(config, path);
  return `schema registry: GET ${url.origin}${url.pathname}`;
}

function urlOf(config: RegistryConfig, path: string): URL {
  return new URL(config.url.replace(/\/+$/, '') + path);
}

function send(config: RegistryConfig, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const url = urlOf(config, path);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const options = {
    agent: false,
    signal,
    headers: { accept: MEDIA_TYPE, ...authorization(config) },
    ...(config.ca === null ? {} : { ca: config.ca }),
  };
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end();
  });
}

function authorization(config: RegistryConfig): { authorization?: string } {
  if (config.username === null) return {};
  const credentials = Buffer.from(`${config.username}:${config.password ?? ''}`).toString('base64');
  return { authorization: `Basic ${credentials}` };
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop destroys the response, and with it the connection.
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A refused connection to a name with several addresses comes as an AggregateError without a message. */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  if (message !== '') return message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'the connection failed';
}
