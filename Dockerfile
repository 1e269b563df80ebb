# syntax=docker/dockerfile:1
# evenkeel as stacks/evenkeel runs it: one static binary, no shell, not root.
#   docker build --build-arg VERSION=v1.2.3 -t registry.example.com/ops/evenkeel:v1.2.3 .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /evenkeel ./cmd/evenkeel

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /evenkeel /usr/local/bin/evenkeel
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/evenkeel"]
