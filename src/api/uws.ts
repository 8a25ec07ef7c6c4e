/**
 * The one file that loads uWebSockets.js. Its binaries come per platform and Node
 * version, so that loading is where a wrong machine shows, and the error says what
 * to do there.
 */
import type uws from 'uWebSockets.js';
import type {
  HttpRequest as Request,
  HttpResponse as Response,
  TemplatedApp as App,
  us_listen_socket,
} from 'uWebSockets.js';
import { messageOf, UserError } from '../domain/errors.ts';

export type HttpRequest = Request;
export type HttpResponse = Response;
type TemplatedApp = App;
export type UwsModule = typeof uws;

/** `LIBUS_LISTEN_EXCLUSIVE_PORT`, which the package exports under another type than it declares. */
const EXCLUSIVE_PORT = 1;

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

/** The form with address and options, which the package has and its types leave out. */
type ListenWithOptions = (
  host: string,
  port: number,
  options: number,
  listening: (socket: us_listen_socket | false) => void,
) => void;

/**
 * The port it listens on, or null when it can't; uWebSockets.js does not say why.
 * Without the option it sets SO_REUSEPORT, and a second process on the same port
 * would share its connections in silence.
 */
export function listenExclusively(
  uws: UwsModule,
  app: TemplatedApp,
  host: string,
  port: number,
): number | null {
  let bound: number | null = null;
  const listen = app.listen.bind(app) as unknown as ListenWithOptions;
  // The callback runs before `listen` returns.
  listen(host, port, EXCLUSIVE_PORT, (socket) => {
    if (socket !== false) bound = uws.us_socket_local_port(socket);
  });
  return bound;
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
