# The picker with ONNX Runtime, as a user without rights: for the CPU, or with
# --target cuda for a GPU too (docs/gpu.md).
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

FROM build AS fetch-gpu
RUN XDG_CACHE_HOME=/cache python3 deps/fetch.py onnxruntime-gpu

# For x86_64. No GPU was at hand where this was written: the library was seen to
# load with CUDA 12.9 and cuDNN 9 from PyPI and to ask for a driver, but the
# image has been neither built nor run.
FROM nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04 AS cuda
COPY --from=build /semantic-epp /usr/local/bin/semantic-epp
COPY --from=fetch-gpu /cache/semantic-epp/onnxruntime-gpu-1.24.4/ /usr/local/lib/onnxruntime/
COPY LICENSE NOTICE /usr/share/doc/semantic-epp/
ENV ONNXRUNTIME_SHARED_LIBRARY_PATH=/usr/local/lib/onnxruntime/libonnxruntime.so
# ext_proc with TLS, gRPC health, metrics.
EXPOSE 9002 9003 9090
# The number that distroless gives its nonroot.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/semantic-epp"]

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /semantic-epp /usr/local/bin/semantic-epp
COPY --from=build /cache/semantic-epp/onnxruntime-1.24.4/ /usr/local/lib/onnxruntime/
COPY LICENSE NOTICE /usr/share/doc/semantic-epp/
ENV ONNXRUNTIME_SHARED_LIBRARY_PATH=/usr/local/lib/onnxruntime/libonnxruntime.so
# ext_proc with TLS, gRPC health, metrics.
EXPOSE 9002 9003 9090
USER nonroot:nonroot
ENTRYPOINT ["/usr/local/bin/semantic-epp"]
