# syntax=docker/dockerfile:1

FROM node:20.19.5-bookworm AS build
# librdkafka is compiled during `npm ci`; without zstd's headers it could not read zstd topics.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libzstd-dev python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build
# What runs needs neither the tools nor chdb, the embedded ClickHouse (540 MB), nor other platforms' binaries.
RUN npm prune --omit=dev --omit=optional \
 && find node_modules/uWebSockets.js -name 'uws_*.node' ! -name 'uws_linux_*' -delete

FROM node:20.19.5-bookworm-slim
# node-rdkafka's librdkafka links these; slim images lack them.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libssl3 libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
# A Kafka poll and each DNS look-up hold a libuv thread; Node's default is 4.
ENV UV_THREADPOOL_SIZE=16
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY bin ./bin
COPY queries ./queries
COPY schemas ./schemas
USER node
EXPOSE 9400
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9400/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/eventdispatch.cjs"]
CMD ["start", "--config", "/etc/eventdispatch/eventdispatch.yaml"]
