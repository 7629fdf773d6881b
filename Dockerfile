# syntax=docker/dockerfile:1
# The server's image for those who have a container builder; dev/build-image.ts makes the same without one. For more than one
# processor: docker buildx build --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS engine
ARG TARGETARCH
WORKDIR /src
COPY node/tsnet/engine/go.mod node/tsnet/engine/go.sum ./
RUN go mod download
COPY node/tsnet/engine ./
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags '-s -w' -o /tka-engine .

FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS bundles
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# This Node is the one to run under; no package has to build or fetch anything.
RUN npm ci --ignore-scripts
COPY . .
RUN node dev/build-bundles.ts

FROM node:24-bookworm-slim AS node

# glibc, libstdc++, CA certificates, /etc/passwd and /tmp, and nothing else: no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=engine /tka-engine /usr/local/lib/tka/engine/tka-engine
COPY --from=bundles /src/dist/tka-server.js /usr/local/lib/tka/tka-server.js
COPY --from=bundles /src/dist/chunks/tka-server /usr/local/lib/tka/chunks/tka-server
COPY <<package.json /usr/local/lib/tka/package.json
{"type":"module"}
package.json
COPY LICENSE /usr/local/lib/tka/LICENSE
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/local/bin/node", "/usr/local/lib/tka/tka-server.js"]
CMD ["serve"]
