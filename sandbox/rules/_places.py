"""Where secrets, startup hooks and agents' settings live. Facts about machines, not about packages."""

from __future__ import annotations

from functools import cache

from sandbox.events import Header
from sandbox.globs import Matcher

# Kind of secret -> where it stands. Public attack reports name every one of these.
_SECRETS: dict[str, tuple[str, ...]] = {
    "registry tokens": (
        "~/.npmrc", "~/.yarnrc", "~/.yarnrc.yml", "~/.bun/credentials", "~/.pypirc", "~/.cargo/credentials*",
        "~/.gem/credentials", "~/.config/pypoetry/auth.toml",
    ),
    "git credentials": (
        "~/.git-credentials", "~/.config/git/credentials", "~/.config/gh/hosts.yml", "~/.config/hub",
        "~/.config/glab-cli/config.yml", "~/.netrc", "~/.gitlab-runner/config.toml",
    ),
    "AWS": ("~/.aws/credentials", "~/.aws/config", "~/.aws/sso/cache/**"),
    "Google Cloud": (
        "~/.config/gcloud/{application_default_credentials.json,credentials.db,access_tokens.db}",
        "~/.config/gcloud/legacy_credentials/**",
    ),
    "Azure": ("~/.azure/**",),
    "other clouds": (
        "~/.oci/**", "~/.aliyun/config.json", "~/.config/doctl/config.yaml", "~/.config/hcloud/cli.toml",
        "~/.fly/config.yml", "~/.config/.wrangler/**", "~/.wrangler/config/**", "~/.config/heroku/**",
        "~/.doppler/**", "~/.sf/**", "~/.sfdx/**", "~/.snowflake/**", "~/.linode-cli", "~/.config/scw/config.yaml",
    ),
    "Kubernetes": (
        "~/.kube/**", "/etc/kubernetes/**", "/var/run/secrets/kubernetes.io/**",
        "/run/secrets/kubernetes.io/**", "/etc/rancher/k3s/k3s.yaml",
    ),
    "container registries": (
        "~/.docker/config.json", "~/.config/containers/auth.json", "/root/.docker/config.json",
        "/kaniko/.docker/config.json",
    ),
    "Vault": ("~/.vault-token", "/home/runner/.vault-token", "/run/secrets/**", "/var/run/secrets/**"),
    "SSH keys": ("~/.ssh/id_*", "~/.ssh/*_key", "/root/.ssh/id_*", "/etc/ssh/ssh_host_*_key"),
    "GPG keys": ("~/.gnupg/private-keys-v1.d/**", "~/.gnupg/secring.gpg"),
    "TLS keys": ("/etc/ssl/private/**", "/etc/letsencrypt/**", "/etc/wireguard/**", "/etc/openvpn/**"),
    "AI tools": (
        "~/.claude.json", "~/.claude/{.credentials.json,mcp.json,settings.json}", "~/.config/claude/**",
        "~/.config/Claude/**", "~/.codex/{auth.json,config.toml}", "~/.gemini/**", "~/.cursor/mcp.json",
        "~/.config/Cursor/**", "~/.config/cursor/**", "~/.kiro/**", "~/.codeium/**", "~/.continue/**",
        "~/.aider.conf.yml", "~/.cache/huggingface/{token,stored_tokens}", "~/.config/io.datasette.llm/**",
    ),
    "password managers": (
        "~/.password-store/**", "~/.config/op/**", "~/.config/Bitwarden*/**", "~/.local/share/keyrings/**",
        "~/.config/gopass/**", "~/.local/share/gopass/**", "~/.config/KeePassXC/**", "~/Library/Keychains/**",
    ),
    "browser stores": (
        "~/.config/{google-chrome,chromium,BraveSoftware,microsoft-edge,opera,vivaldi}/**",
        "~/.mozilla/firefox/**",
    ),
    "wallets": (
        "~/.bitcoin/**", "~/.litecoin/**", "~/.dogecoin/**", "~/.ethereum/**", "~/.electrum/**", "~/.monero/**",
        "~/.config/Exodus/**", "~/.config/solana/**", "~/.cardano/**", "~/.config/Ledger Live/**",
        "~/.sui/**", "~/.aptos/**", "~/.config/@trezor/**",
    ),
    "histories": (
        "~/.{bash,zsh,python,mysql,psql,sqlite,rediscli,node_repl}_history", "~/.history",
        "~/.local/share/fish/fish_history",
    ),
    "database passwords": ("~/.pgpass", "~/.my.cnf", "~/.mylogin.cnf", "~/.mongorc.js", "~/.msmtprc"),
    "infrastructure": (
        "~/.terraform.d/credentials.tfrc.json", "~/.terraformrc", "./terraform.tfstate", "./terraform.tfvars",
        "./.terraform/terraform.tfstate",
    ),
    "chat and mail": (
        "~/.config/{discord,Slack,Signal}/**", "~/.local/share/TelegramDesktop/**", "~/.thunderbird/**",
    ),
    "personal files": ("~/{Documents,Pictures,Desktop,Videos,Music}/**",),
    "system passwords": ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d/**"),
}  # fmt: skip

# Startup hook -> where it stands. "certain" ones have no honest reason during an installation or an import.
_HOOKS: dict[str, tuple[str, ...]] = {
    "shell startup": (
        "~/.{bashrc,zshrc,profile,bash_profile,bash_login,bash_aliases,zprofile,zshenv,zlogin,xprofile,xinitrc}",
        "~/.config/fish/**", "/etc/profile", "/etc/profile.d/**", "/etc/bash.bashrc", "/etc/zsh/**",
    ),
    "service": (
        "~/.config/systemd/**", "~/.local/share/systemd/**", "/etc/systemd/**", "/lib/systemd/**",
        "/usr/lib/systemd/**", "/etc/init.d/**", "~/Library/LaunchAgents/**", "/var/lib/systemd/linger/**",
    ),
    "timed job": ("/etc/cron*", "/etc/cron*/**", "/var/spool/cron/**"),
    "desktop startup": ("~/.config/autostart/**", "/etc/xdg/autostart/**"),
    "login and privilege": (
        "~/.ssh/authorized_keys", "~/.ssh/rc", "~/.ssh/config", "/etc/sudoers", "/etc/sudoers.d/**",
        "/etc/passwd", "/etc/shadow", "/etc/pam.d/**", "/etc/ld.so.preload", "/etc/ld.so.conf.d/**",
    ),
    "name resolution and trust": (
        "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ssl/**", "/usr/share/ca-certificates/**",
        "/usr/local/share/ca-certificates/**", "/etc/ca-certificates.conf",
    ),
    "package manager": (
        "~/.npmrc", "./.npmrc", "/etc/npmrc", "~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf",
        "/usr/lib/node_modules/**", "/usr/local/lib/node_modules/**", "/usr/share/nodejs/**", "~/.yarnrc*",
    ),
}  # fmt: skip

# Hooks that an honest development tool may set; suspicious where no profile expects it.
_DEVELOPMENT_HOOKS: dict[str, tuple[str, ...]] = {
    "git hook": (
        "./.git/hooks/**", "./.git/config", "~/.gitconfig", "~/.config/git/config", "~/.git-templates/**",
        "~/.config/git/hooks/**",
    ),
    "editor task": ("./.vscode/**", "./.idea/**", "~/.vscode/**", "~/.config/Code/User/**"),
    "pipeline": (
        "./.github/workflows/**", "./.github/*.js", "./.gitlab-ci.yml", "./.circleci/**", "./.travis.yml",
        "./Jenkinsfile", "./.drone.yml",
    ),
    "scripts of the project": ("./package.json", "./Makefile", "./setup.py", "./pyproject.toml", "./tox.ini"),
    "program on the path": ("~/.local/bin/**", "~/bin/**", "/usr/local/bin/**", "/usr/bin/**", "/bin/**"),
}  # fmt: skip

_AGENTS = (
    "~/.claude/**", "~/.claude.json", "~/.config/claude/**", "~/.config/Claude/**", "~/CLAUDE.md", "~/AGENTS.md",
    "~/GEMINI.md", "~/.codex/**", "~/.gemini/**", "~/.cursor/**", "~/.config/Cursor/**", "~/.cursorrules",
    "~/.codeium/**", "~/.continue/**", "~/.kiro/**", "~/.aider.conf.yml", "~/.mcp.json", "~/.windsurfrules",
    "./.claude/**", "./.claude.json", "./CLAUDE.md", "./CLAUDE.local.md", "./AGENTS.md", "./GEMINI.md",
    "./.codex/**", "./.gemini/**", "./.cursor/**", "./.cursorrules", "./.windsurf/**", "./.windsurfrules",
    "./.continue/**", "./.kiro/**", "./.mcp.json", "./.aider.conf.yml", "./.github/copilot-instructions.md",
    "./.github/instructions/**", "./.github/prompts/**", "./.clinerules", "./.clinerules/**", "./.roo/**",
)  # fmt: skip


def secrets(header: Header) -> Matcher[str]:
    """Places of secrets, each with its kind."""
    return _compile("secrets", header.home, header.project)


def hooks(header: Header) -> Matcher[str]:
    """Places whose content runs later by itself, each with its kind."""
    return _compile("hooks", header.home, header.project)


def development_hooks(header: Header) -> Matcher[str]:
    """Places whose content a developer's tools run later, each with its kind."""
    return _compile("development", header.home, header.project)


def agents(header: Header) -> Matcher[str]:
    """Settings and instructions of AI agents."""
    return _compile("agents", header.home, header.project)


@cache
def _compile(which: str, home: str, project: str) -> Matcher[str]:
    tables: dict[str, dict[str, tuple[str, ...]]] = {
        "secrets": _SECRETS,
        "hooks": _HOOKS,
        "development": _DEVELOPMENT_HOOKS,
        "agents": {"agent": _AGENTS},
    }
    pairs = []
    for kind, globs in tables[which].items():
        for glob in globs:
            full = home + glob[1:] if glob.startswith("~/") else glob
            pairs.append((project + full[1:] if full.startswith("./") else full, kind))
    return Matcher(pairs)
