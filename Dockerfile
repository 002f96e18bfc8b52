# The picker with ONNX Runtime for the CPU, as a user without rights.
FROM golang:1.26-bookworm AS build
ARG VERSION=dev
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
COPY deps deps
RUN XDG_CACHE_HOME=/cache python3 deps/fetch.py onnxruntime
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /semantic-epp ./cmd/semantic-epp

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /semantic-epp /usr/local/bin/semantic-epp
COPY --from=build /cache/semantic-epp/onnxruntime-1.24.4/ /usr/local/lib/onnxruntime/
COPY LICENSE NOTICE /usr/share/doc/semantic-epp/
ENV ONNXRUNTIME_SHARED_LIBRARY_PATH=/usr/local/lib/onnxruntime/libonnxruntime.so
# ext_proc with TLS, gRPC health, metrics.
EXPOSE 9002 9003 9090
USER nonroot:nonroot
ENTRYPOINT ["/usr/local/bin/semantic-epp"]
