import type { Readiness } from './readiness.ts';
import { jsonReply } from './reply.ts';
import type { Route } from './reply.ts';

/** What the surface shows, asked for at each request. */
export interface SurfaceSources {
  readonly metrics: { readonly contentType: string; renderMetrics(): Promise<string> };
  readonly readiness: () => Readiness;
}

/**
 * - `/metrics` Prometheus text
 * - `/health` 200 while the process answers: restart it when this fails
 * - `/health/ready` 200, or 503 when a check fails, with every check either way
 */
export function surfaceRoutes({ metrics, readiness }: SurfaceSources): readonly Route[] {
  return [
    {
      path: '/metrics',
      get: async () => ({
        status: 200,
        contentType: metrics.contentType,
        body: await metrics.renderMetrics(),
      }),
    },
    { path: '/health', get: () => jsonReply(200, { status: 'up' }) },
    {
      path: '/health/ready',
      get: () => {
        const { ready, checks } = readiness();
        return jsonReply(ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', checks });
      },
    },
  ];
}
