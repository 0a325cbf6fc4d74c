#!/usr/bin/env bash
# `make test-c`: builds each sandbox/warden/test_*.c under the address and undefined-behaviour sanitizers and runs it,
# and each fuzz_*.c (libFuzzer, where clang is there) for a bounded number of inputs. A test includes the sources that
# it tests, or names them in a line `// with: frames.c net.c`.
set -euo pipefail
cd "$(dirname "$0")/../sandbox/warden"

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
compiler=${CC:-cc}
flags=(-std=gnu11 -g -O1 -Wall -Wextra -Werror -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all)
passed=0
shopt -s nullglob

# sources_of FILE: FILE and what its `// with:` line names
sources_of() {
    printf '%s\n' "$1"
    sed -n 's|^// with: *||p' "$1" | tr ' ' '\n' | sed '/^$/d'
}

for test in test_*.c; do
    mapfile -t sources < <(sources_of "$test")
    "$compiler" "${flags[@]}" -o "$built/test" "${sources[@]}"
    printf '%s\n' "$test"
    "$built/test"
    passed=$((passed + 1))
done

for fuzz in fuzz_*.c; do
    if ! command -v clang >/dev/null; then
        if [ -n "${CI:-}" ]; then
            printf 'error: %s needs clang\n' "$fuzz" >&2
            exit 1
        fi
        printf '%s: not run, it needs clang\n' "$fuzz"
        continue
    fi
    mapfile -t sources < <(sources_of "$fuzz")
    clang "${flags[@]}" -fsanitize=fuzzer -o "$built/fuzz" "${sources[@]}"
    printf '%s\n' "$fuzz"
    "$built/fuzz" -runs="${FUZZ_RUNS:-200000}" -max_total_time=60 -seed=1 -print_final_stats=0 -close_fd_mask=1 2>"$built/said" || {
        cat "$built/said"
        exit 1
    }
    passed=$((passed + 1))
done
printf '%d programs of the warden'"'"'s tests passed\n' "$passed"
