import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RegistryUnavailable } from '../../src/decode/errors.ts';
import { RegistryClient } from '../../src/decode/registry-client.ts';

/* Proves that a registry behind TLS is trusted by the configured CA, and by nothing less. */

/** Self-signed, for 127.0.0.1, until the year 2125; of use to nobody but this test. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIUUvnnEj8MiQ5uBvB++Nww+BvkWlswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMTA4NTYwMloYDzIxMjYxMDI4
MDg1NjAyWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARlCcvwV8HLgusjqZjD8NpFCkf3itIJUMjX8DS2mXNMaWEGLuAVc8yP
Xl+4M9v1nrOX+lj5gDdWG37xoKtOMbmjo2QwYjAdBgNVHQ4EFgQUUUkv+3YfoAg1
ruuOIpHDJIQPAtEwHwYDVR0jBBgwFoAUUUkv+3YfoAg1ruuOIpHDJIQPAtEwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQDGBUx7NPboQqoXMkcEwEugUwt+BD4QPGy0hqviZ89m7AIhAKFdrVWg5m8fqpC2
IAVN7VZu0dqQ1Xih+wdmP0Tqlt1a
-----END CERTIFICATE-----
`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRWzB4GDk5E+g1RRD
MjN5Y1G4G9n7BcuokTdcaLITq6ihRANCAARlCcvwV8HLgusjqZjD8NpFCkf3itIJ
UMjX8DS2mXNMaWEGLuAVc8yPXl+4M9v1nrOX+lj5gDdWG37xoKtOMbmj
-----END PRIVATE KEY-----
`;

let server: Server;

beforeEach(async () => {
  server = createServer({ cert: CERTIFICATE, key: KEY }, (_, response) => {
    response.end(JSON.stringify({ schema: '{}' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function client(ca: string | null): RegistryClient {
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return new RegistryClient({ url, username: null, password: null, ca, timeoutMs: 5_000 });
}

it('answers when its certificate is the configured CA’s', async () => {
  expect(await client(CERTIFICATE).schemaById(1)).toEqual({ state: 'found', texts: ['{}'] });
});

it('is unavailable when nobody vouches for its certificate', async () => {
  const asked = client(null).schemaById(1);
  await expect(asked).rejects.toThrow(RegistryUnavailable);
  await expect(asked).rejects.toThrow(/self-signed certificate/);
});
