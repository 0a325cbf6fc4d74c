"""Where secrets, startup hooks and agents' settings live. Facts about machines, not about packages."""

from __future__ import annotations

from collections.abc import Mapping
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

# Sockets of those that keep keys and use them for whoever asks.
_KEEPERS: dict[str, tuple[str, ...]] = {
    "SSH agent": (
        "/tmp/ssh-*/agent.*", "/run/user/*/{ssh-agent,openssh_agent}**", "/run/user/*/{keyring,gcr}/ssh",
        "/run/user/*/keyring/.ssh", "~/.ssh/{agent,S}**", "~/.1password/agent.sock", "~/.bitwarden-ssh-agent.sock",
    ),
    "GPG agent": ("~/.gnupg/S.**", "/run/user/*/gnupg/**"),
    "keyring": ("/run/user/*/keyring/**", "/run/user/*/kwallet**", "/run/user/*/{op-daemon,1password}**"),
}  # fmt: skip

# Startup hook -> where it stands. "certain" ones have no honest reason during an installation or an import.
_HOOKS: dict[str, tuple[str, ...]] = {
    "shell startup": (
        "~/.{bashrc,zshrc,profile,bash_profile,bash_login,bash_aliases,zprofile,zshenv,zlogin,xprofile,xinitrc}",
        "~/.{bash_logout,zlogout,kshrc,mkshrc,cshrc,tcshrc,login,logout}", "~/.config/fish/**",
        "~/.oh-my-zsh/custom/**",
        "/etc/profile", "/etc/profile.d/**", "/etc/bash.bashrc", "/etc/zsh/**",
    ),
    "session startup": (
        "~/.config/environment.d/**", "~/.config/plasma-workspace/{env,shutdown}/**", "~/.pam_environment",
        "~/.{xsession,xsessionrc,xserverrc}", "~/.config/X11/**",
    ),
    "startup of a prompt": (
        "~/.ipython/profile_*/startup/**.{py,ipy}", "~/.config/ipython/profile_*/startup/**.{py,ipy}", "~/.pythonrc*",
    ),
    "service": (
        "~/.config/systemd/**", "~/.local/share/systemd/**", "/etc/systemd/**", "/lib/systemd/**",
        "/usr/lib/systemd/**", "/etc/init.d/**", "~/Library/LaunchAgents/**", "/var/lib/systemd/linger/**",
        "~/.local/share/dbus-1/{services,system-services}/**",
    ),
    "timed job": ("/etc/cron*", "/etc/cron*/**", "/var/spool/cron/**"),
    "desktop startup": ("~/.config/autostart/**", "/etc/xdg/autostart/**"),
    "login and privilege": (
        "~/.ssh/authorized_keys", "~/.ssh/rc", "~/.ssh/config", "~/.ssh/environment",
        "/etc/sudoers", "/etc/sudoers.d/**", "/etc/passwd", "/etc/shadow", "/etc/pam.d/**", "/etc/ld.so.preload",
        "/etc/ld.so.conf.d/**",
    ),
    "name resolution and trust": (
        "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ssl/**", "/usr/share/ca-certificates/**",
        "/usr/local/share/ca-certificates/**", "/etc/ca-certificates.conf",
    ),
    "package manager": (
        "~/.npmrc", "./.npmrc", "/etc/npmrc", "~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf",
        "/usr/lib/node_modules/**", "/usr/local/lib/node_modules/**", "/usr/share/nodejs/**", "~/.yarnrc*",
        "~/.config/uv/uv.toml", "~/.condarc", "~/.conda/condarc", "~/.config/conda/.condarc", "~/.pydistutils.cfg",
        "~/.cargo/{config,config.toml}",
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
    "scripts of the project": (
        "./package.json", "./Makefile", "./setup.py", "./pyproject.toml", "./tox.ini", "./noxfile.py", "./conftest.py",
        "./{site,user}customize.py", "./.envrc", "./.husky/**", "./.pre-commit-config.yaml", "./.devcontainer/**",
        "./uv.toml",
    ),
    "editor startup": (
        "~/.{vimrc,gvimrc,emacs,emacs.el}", "~/.vim/**", "~/.config/{nvim,emacs}/**", "~/.emacs.d/**",
    ),
    "program on the path": (
        "~/.local/bin/**", "~/bin/**", "~/.docker/cli-plugins/**", "/usr/local/bin/**", "/usr/bin/**", "/bin/**",
    ),
    "completion of commands": ("~/.bash_completion", "~/.bash_completion.d/**"),
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


_INSTALLED = ("/node_modules/", "/site-packages/", "/.venv/")


class Places:
    """Places on one recording's machine, each with its kind. What belongs to a project is looked for in every
    repository at home: whatever spreads by itself writes to those as well."""

    def __init__(self, kinds: Mapping[str, tuple[str, ...]], home: str, project: str) -> None:
        self._home, self._project = f"{home}/", f"{project}/"
        pairs = [(glob, kind) for kind, globs in kinds.items() for glob in globs]
        self._fixed = Matcher((self._full(glob), kind) for glob, kind in pairs)
        self._of_repositories = Matcher(
            (f"{home}/**/{glob[2:]}", kind) for glob, kind in pairs if glob.startswith("./")
        )

    def find(self, path: str) -> str | None:
        """The kind of place that `path` is."""
        found = self._fixed.find(path)
        if found is None and self._is_of_a_repository(path):
            found = self._of_repositories.find(path)
        return found

    def _full(self, glob: str) -> str:
        place = {"~/": self._home, "./": self._project}.get(glob[:2])
        return place + glob[2:] if place else glob

    def _is_of_a_repository(self, path: str) -> bool:
        """Below a folder at home that shows; not of the project, which has its own places, nor of what is installed."""
        if not path.startswith(self._home) or path.startswith(self._project):
            return False
        folder, below, _ = path.removeprefix(self._home).partition("/")
        return bool(below) and not folder.startswith(".") and not any(part in path for part in _INSTALLED)


def secrets(header: Header) -> Places:
    """Places of secrets, each with its kind."""
    return _compile("secrets", header.home, header.project)


def keepers(header: Header) -> Places:
    """Sockets of agents that keep keys, each with its kind."""
    return _compile("keepers", header.home, header.project)


def hooks(header: Header) -> Places:
    """Places whose content runs later by itself, each with its kind."""
    return _compile("hooks", header.home, header.project)


def development_hooks(header: Header) -> Places:
    """Places whose content a developer's tools run later, each with its kind."""
    return _compile("development", header.home, header.project)


def agents(header: Header) -> Places:
    """Settings and instructions of AI agents."""
    return _compile("agents", header.home, header.project)


@cache
def _compile(which: str, home: str, project: str) -> Places:
    tables: dict[str, dict[str, tuple[str, ...]]] = {
        "secrets": _SECRETS,
        "keepers": _KEEPERS,
        "hooks": _HOOKS,
        "development": _DEVELOPMENT_HOOKS,
        "agents": {"agent": _AGENTS},
    }
    return Places(tables[which], home, project)
