#!/usr/bin/env bash
# For CI: makes sure that a Docker engine is here and runs, with the images that the tests use. A daemon that this
# starts has its process number in the file named by $1, so that the caller can end it.
set -euo pipefail
cd "$(dirname "$0")/.."
pid_file=$1

wanted=()
command -v dockerd >/dev/null || wanted+=(docker.io)
command -v debootstrap >/dev/null || wanted+=(debootstrap)
if [ "${#wanted[@]}" -gt 0 ]; then
    apt-get install -y -q --no-install-recommends "${wanted[@]}" >&2 || {
        apt-get update -q >&2
        apt-get install -y -q --no-install-recommends "${wanted[@]}" >&2
    }
fi
# A daemon that was killed before may leave more to tidy up than one start has patience for: it is begun again.
log=$(mktemp)
for _ in 1 2 3; do
    docker info >/dev/null 2>&1 && break
    setsid dockerd >"$log" 2>&1 </dev/null &
    daemon=$!
    printf '%d\n' "$daemon" >"$pid_file"
    for _ in $(seq 60); do
        if docker info >/dev/null 2>&1 || ! kill -0 "$daemon" 2>/dev/null; then break; fi
        sleep 1
    done
done
docker info >/dev/null 2>&1 || {
    tail -n 20 "$log" >&2
    exit 1
}
tools/base_image.sh debian:trixie-slim
.venv/bin/baitbox image build --base debian:trixie-slim

# What tests/integration/test_user_images.py makes its images of: busybox, and musl as new as node's builds want it.
parts=baitbox-test-parts:1
if ! docker image inspect "$parts" >/dev/null 2>&1; then
    docker run --rm debian:trixie-slim sh -ec '
        apt-get update -q >&2
        cd "$(mktemp -d)"
        apt-get download -q musl busybox-static >&2
        for package in *.deb; do dpkg -x "$package" root; done
        tar -C root -c .' | docker import - "$parts"
fi
