#!/usr/bin/env bash
# Makes a Debian base image with debootstrap, for where no container registry can be reached, under the name that
# Dockerfile.runner's has without its digest. Needs root (debootstrap) and a Docker daemon; does nothing where the image
# is there. `tools/base_image.sh [NAME [SUITE]]`, then `baitbox image build --base NAME`.
set -euo pipefail
name=${1:-debian:trixie-slim}
suite=${2:-trixie}

if docker image inspect "$name" >/dev/null 2>&1; then
    printf '%s is there\n' "$name" >&2
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'making %s with debootstrap: a minute or two\n' "$name" >&2
debootstrap --variant=minbase "$suite" "$folder/root" >"$folder/log" 2>&1 || {
    tail -n 20 "$folder/log" >&2
    exit 1
}
rm -rf "$folder"/root/var/cache/apt/archives/*.deb "$folder"/root/var/lib/apt/lists/*
tar -C "$folder/root" -c . | docker import --change 'CMD ["bash"]' - "$name"
