/**
 * The one file that loads uWebSockets.js. Its binaries come per platform and Node
 * version, so that loading is where a wrong machine shows, and the error says what
 * to do there.
 */
import type uws from 'uWebSockets.js';
import type { HttpRequest as Request, HttpResponse as Response, TemplatedApp as App } from 'uWebSockets.js';
import { messageOf, UserError } from '../domain/errors.ts';

export type HttpRequest = Request;
export type HttpResponse = Response;
export type TemplatedApp = App;
export type UwsModule = typeof uws;

/**
 * @throws UserError when there is no binary for this machine.
 * @param load replaceable, since a machine without the binary is hard to come by in a test.
 */
export async function loadUws(load: () => Promise<{ default: UwsModule }> = importUws): Promise<UwsModule> {
  try {
    return (await load()).default;
  } catch (error) {
    throw new UserError([unloadable(messageOf(error))]);
  }
}

function importUws(): Promise<{ default: UwsModule }> {
  return import('uWebSockets.js');
}

function unloadable(cause: string): string {
  const detail =
    cause
      .split('\n')
      .filter((line) => line !== '')
      .at(-1) ?? '';
  return (
    `the HTTP surface cannot load uWebSockets.js on Node ${process.versions.node}, ${process.platform} ` +
    `${process.arch}: use Node 20 on glibc Linux (Debian 12), or a newer Node on glibc 2.38 or newer (Debian 13, ` +
    'Ubuntu 24.04), or install the official build with ' +
    '"npm install uWebSockets.js@github:uNetworking/uWebSockets.js#<tag for your Node>", ' +
    `or do without it by "http: off" (${detail})`
  );
}
