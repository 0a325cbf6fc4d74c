#!/usr/bin/env bash
# `make demo`: what a user of baitbox sees, on two honest packages from the registries and two inert thieves that
# the test suite builds. Fails where one of the four ends otherwise than it should.
set -euo pipefail
cd "$(dirname "$0")/.."

baitbox=.venv/bin/baitbox
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
wrong=0

# shown EXPECTED-EXIT-CODE TARGET
shown() {
    local expected=$1 target=$2 code=0
    printf '\n$ baitbox check %s\n' "$target"
    "$baitbox" check "$target" || code=$?
    printf '(exit code %d)\n' "$code"
    if [ "$code" -ne "$expected" ]; then
        printf 'This should have been exit code %d.\n' "$expected"
        wrong=1
    fi
}

if ! "$baitbox" doctor >"$built/doctor"; then
    cat "$built/doctor"
    exit 4
fi
tail -n 1 "$built/doctor"

cat <<'TEXT'

1. Two honest packages, fetched from the registries that this machine is set up for. Each is installed, imported and
   run in a throwaway guest: a developer's laptop full of keys, none of them real, and an internet that is played.
   Nothing unexpected happens, so the verdict is clean and the exit code 0: a gate in CI would let them in.
TEXT
shown 0 npm:left-pad@1.3.0
shown 0 pypi:six

cat <<'TEXT'

2. Two inert thieves, built just now from tests/packages. They do what thieves do, but only to the guest's bait, and
   send it to a name that does not exist. One steals while npm installs it; the other hides in a .pth file, which runs
   whenever Python starts. Nothing leaves this machine. The verdict is malicious and the exit code 11.
TEXT
npm_thief=$(.venv/bin/python -m tests.packages.build npm-postinstall "$built/npm")
pypi_thief=$(.venv/bin/python -m tests.packages.build pypi-pth "$built/pypi")
shown 11 "$npm_thief"
shown 11 "$pypi_thief"

if [ "$wrong" -ne 0 ]; then
    printf '\nThe demo did not go as it should: see above, and docs/troubleshooting.md.\n'
    exit 1
fi
cat <<'TEXT'

That is all there is to it. Now try a package of your own:

    .venv/bin/baitbox check npm:NAME           or pypi:NAME, a .tgz, a .whl, a .tar.gz, or a package folder
    .venv/bin/baitbox check --keep DIR npm:NAME, then .venv/bin/baitbox show DIR/...   everything that it did
TEXT
