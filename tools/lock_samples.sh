#!/bin/sh
# Makes tests/lockfiles/ again, with the real tools: npm (which must be there), and pnpm, yarn, bun, uv, poetry, pipenv,
# pdm and pip, which are fetched into a temporary folder. Nothing that is locked is installed. Registry hosts are
# replaced by registry.test and files.test, and the temporary folder by /src.
#
#     [ONLY=npm|pnpm|yarn|berry|bun|uv|poetry|pipenv|pdm|pip-tools] tools/lock_samples.sh [FOLDER]
#
# FOLDER keeps the tools for the next time. What is not pinned below (idna, anyio, node-gyp) is newer each time.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
samples=$here/tests/lockfiles
folder=${1:-$(mktemp -d)}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
export npm_config_ignore_scripts=true npm_config_audit=false npm_config_fund=false
export YARN_CACHE_FOLDER="$folder/cache" YARN_GLOBAL_FOLDER="$folder/cache-berry"
export npm_config_omit_lockfile_registry_resolved=false CI=1

tool() { # tool NAME@VERSION -> prints the folder that it is in
    place=$folder/tools/$(printf %s "$1" | tr '/@' '__')
    [ -d "$place/node_modules" ] || { mkdir -p "$place" && npm install --silent --prefix "$place" "$1" >&2; }
    printf %s "$place/node_modules"
}

keep() { # keep FILE FORMAT VARIANT: a lockfile, without the names of this place
    mkdir -p "$samples/$2/$3"
    sed -E -e "s#$folder/project#/src#g" \
        -e 's#https?://[^/"'\'' )]+/(packages/[0-9a-f]{2}/)#https://files.test/\1#g' \
        -e 's#https?://(files|git|index)\.test#KEEP:\1#g' \
        -e 's#https?://[^/"'\'' )]+#https://registry.test#g' \
        -e 's#KEEP:(files|git|index)#https://\1.test#g' "$1" > "$samples/$2/$3/$(basename "$1")"
    echo "$2/$3: $(wc -l < "$samples/$2/$3/$(basename "$1")") lines"
}

# npm_project WORKSPACES [no-git|''] [bundles]: a workspace, an alias, a scope, a git checkout, a folder, an archive
# (that bundles another package), and a few packages.
npm_project() {
    rm -rf "$folder/project" "$folder/cache" "$folder/cache-berry" && mkdir -p "$folder/project" && cd "$folder/project"
    mkdir -p packages/one local bundler/node_modules/inner repo
    echo '{"name":"one","version":"0.1.0","dependencies":{"ms":"2.1.3"}}' > packages/one/package.json
    echo '{"name":"local","version":"0.0.1"}' > local/package.json
    inner=''
    # yarn and bun do not look into an archive for what it bundles.
    [ -z "${3:-}" ] || inner=',"bundleDependencies":["inner"],"dependencies":{"inner":"1.0.0"}'
    echo "{\"name\":\"bundler\",\"version\":\"1.0.0\"$inner}" > bundler/package.json
    echo '{"name":"inner","version":"1.0.0"}' > bundler/node_modules/inner/package.json
    (cd bundler && npm pack --silent >&2 && mv bundler-1.0.0.tgz ..)
    (cd repo && git init -q && echo '{"name":"fromgit","version":"3.0.0"}' > package.json && git add . &&
        GIT_AUTHOR_DATE="2024-01-01T00:00:00Z" GIT_COMMITTER_DATE="2024-01-01T00:00:00Z" \
            git -c user.name=sample -c user.email=sample@sample.test commit -qm sample)
    git=''
    [ "${2:-}" = no-git ] || git=", \"fromgit\": \"git+file://$folder/project/repo\""
    cat > package.json << END
{"name": "sample", "version": "1.0.0", "private": true, $1
 "dependencies": {"left-pad": "1.3.0", "pad": "npm:left-pad@1.2.0", "minimist": "^1.2.8", "@types/ms": "0.7.34",
                  "local": "file:./local", "bundler": "file:./bundler-1.0.0.tgz"$git},
 "devDependencies": {"mkdirp": "0.5.6"}, "optionalDependencies": {"fsevents": "2.3.3"}}
END
}

want() { # want NAME: whether this part is asked for
    [ -z "${ONLY:-}" ] || [ "$ONLY" = "$1" ]
}

workspaces='"workspaces": ["packages/*"],'

if want npm; then
    for version in 1 2 3; do
        npm_project "$workspaces" "" bundles
        npm install --silent --package-lock-only --lockfile-version "$version"
        keep package-lock.json package_lock "v$version"
    done
    npm shrinkwrap --silent
    keep npm-shrinkwrap.json package_lock shrinkwrap
fi

if want pnpm; then
    for version in 7.33.7 8.15.9 9.15.9 10.12.4; do
        # pnpm 8 writes no path of a git repository that it can read again.
        npm_project "" "$([ "$version" != 8.15.9 ] || echo no-git)" bundles
        printf 'packages:\n  - packages/*\n' > pnpm-workspace.yaml
        pnpm=$(tool "pnpm@$version")
        timeout 180 node "$pnpm/pnpm/bin/pnpm.cjs" install --lockfile-only --silent
        keep pnpm-lock.yaml pnpm_lock "pnpm-${version%%.*}"
    done
fi

if want yarn; then
    npm_project "$workspaces"
    yarn=$(tool yarn@1.22.22)
    timeout 180 node "$yarn/yarn/bin/yarn.js" install --silent --ignore-scripts --non-interactive --ignore-platform
    keep yarn.lock yarn_classic yarn-1
fi

if want berry; then
    for version in 3.8.7 4.9.2; do
        npm_project "$workspaces" no-git
        yarn=$(tool "@yarnpkg/cli-dist@$version")
        : > yarn.lock
        printf 'enableTelemetry: false\nenableScripts: false\n' > .yarnrc.yml
        YARN_ENABLE_IMMUTABLE_INSTALLS=false timeout 180 node "$yarn/@yarnpkg/cli-dist/bin/yarn.js" install >&2
        keep yarn.lock yarn_berry "yarn-${version%%.*}"
    done
fi

if want bun; then
    npm_project "$workspaces" no-git
    bun=$(tool bun@1.2.17)
    program=$(find "$bun" -path '*bun-linux-x64*/bin/bun' ! -path '*musl*' | head -1)
    timeout 180 "$program" install --lockfile-only --save-text-lockfile --ignore-scripts >&2
    keep bun.lock bun_lock bun-1.2
fi

python_tool() { # python_tool REQUIREMENT...: prints the folder of its programs; each has its own environment
    place=$folder/tools/$(printf %s "$1" | tr '=<[]' '____')
    [ -x "$place/bin/pip" ] || { python3 -m venv "$place" && "$place/bin/pip" install -q "$@" >&2; }
    printf %s "$place/bin"
}

# python_project MORE: a pin with an extra, a marker, an extra of the project, a group for development, a folder, a
# checkout. MORE are further dependencies.
python_project() {
    rm -rf "$folder/project" && mkdir -p "$folder/project/local" "$folder/project/repo" && cd "$folder/project"
    printf '[project]\nname = "local"\nversion = "0.0.1"\n' > local/pyproject.toml
    printf '[project]\nname = "fromgit"\nversion = "3.0.0"\n' > repo/pyproject.toml
    (cd repo && git init -q && git add . &&
        GIT_AUTHOR_DATE="2024-01-01T00:00:00Z" GIT_COMMITTER_DATE="2024-01-01T00:00:00Z" \
            git -c user.name=sample -c user.email=sample@sample.test commit -qm sample)
    cat > pyproject.toml << END
[project]
name = "sample"
version = "0.1.0"
requires-python = ">=3.11,<3.13"
dependencies = ["httpx[socks]==0.27.0", "certifi==2024.2.2", "colorama==0.4.6; sys_platform == 'win32'"$1]
[project.optional-dependencies]
more = ["six==1.16.0"]
[dependency-groups]
dev = ["iniconfig==2.0.0"]
END
}

if want uv; then
    bin=$(python_tool uv)
    python_project ', "local", "fromgit"'
    cat >> pyproject.toml << END
[tool.uv.sources]
local = { path = "local" }
fromgit = { git = "file://$PWD/repo" }
END
    timeout 180 "$bin/uv" lock -q --no-cache
    keep uv.lock uv_lock uv
    timeout 180 "$bin/uv" export -q --no-cache --all-extras --format pylock.toml > pylock.toml
    keep pylock.toml pylock uv
    timeout 180 "$bin/uv" export -q --no-cache --all-extras > requirements.txt
    keep requirements.txt requirements uv
fi

if want poetry; then
    bin=$(python_tool poetry)
    index=$("$bin/python" -c "from pip._internal.models.index import PyPI; print(PyPI.simple_url)")
    python_project ', "local", "fromgit"'
    cat >> pyproject.toml << END
[tool.poetry]
package-mode = false
[tool.poetry.dependencies]
local = { path = "local" }
fromgit = { git = "file://$PWD/repo" }
[tool.poetry.group.dev.dependencies]
iniconfig = "2.0.0"
[[tool.poetry.source]]
name = "main"
url = "$index/"
END
    sed -i '/^\[dependency-groups\]/,/^dev = /d' pyproject.toml
    timeout 180 "$bin/poetry" lock -q --no-interaction --no-cache
    keep poetry.lock poetry_lock poetry-2
fi

if want pipenv; then
    bin=$(python_tool pipenv)
    python_project ''
    rm pyproject.toml
    index=$("$bin/python" -c "from pip._internal.models.index import PyPI; print(PyPI.simple_url)")
    cat > Pipfile << END
[[source]]
url = "$index"
verify_ssl = true
name = "main"
[packages]
certifi = "==2024.2.2"
httpx = { version = "==0.27.0", extras = ["socks"] }
colorama = { version = "==0.4.6", markers = "sys_platform == 'win32'" }
local = { path = "./local" }
fromgit = { git = "file://$PWD/repo", ref = "$(git -C repo rev-parse HEAD)" }
[dev-packages]
iniconfig = "==2.0.0"
END
    PIPENV_VERBOSITY=-1 timeout 240 "$bin/pipenv" lock -q --clear >&2
    keep Pipfile.lock pipfile_lock pipenv
fi

if want pdm; then
    bin=$(python_tool pdm 'hishel<2')
    python_project ", \"local @ file:///\${PROJECT_ROOT}/local\""
    printf '[tool.pdm]\ndistribution = false\n' >> pyproject.toml
    timeout 60 "$bin/pdm" -n use -q -f "$bin/python"
    timeout 180 "$bin/pdm" -n lock -q -G :all
    keep pdm.lock pdm_lock pdm-2
    timeout 180 "$bin/pdm" export -q -f pylock -G :all > pylock.toml
    keep pylock.toml pylock pdm
fi

if want pip-tools; then
    bin=$(python_tool pip-tools)
    python_project ''
    timeout 180 "$bin/pip-compile" -q --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --no-emit-options --generate-hashes --all-extras --output-file requirements.txt pyproject.toml
    keep requirements.txt requirements pip-compile
fi
