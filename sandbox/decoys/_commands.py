"""Stub commands: small POSIX shell scripts that answer as the real program would."""

from __future__ import annotations

from shlex import quote

from sandbox.bait import StubCommand


def command(name: str, version: str, answers: dict[str, str], usage: str = "") -> StubCommand:
    """A program called `name`. `answers` maps shell patterns over the whole argument line to what is printed.

    The first match wins; anything else prints `usage` to stderr and exits 1. Uses builtins of the shell only.
    """
    lines = ["#!/bin/sh", 'case "$*" in', _branch("--version|-v|-V|version|'version --short'", version)]
    lines += [_branch(pattern, answer) for pattern, answer in answers.items()]
    lines += [f"  *) printf '%s\\n' {quote(usage or f'{name}: unknown command')} >&2; exit 1 ;;", "esac", ""]
    return StubCommand(name, "\n".join(lines))


def words(text: str) -> str:
    """A pattern for an argument line that begins with `text`."""
    return f"{quote(text)}|{quote(text)}' '*"


def _branch(pattern: str, answer: str) -> str:
    return f"  {pattern}) printf '%s\\n' {quote(answer)} ;;" if answer else f"  {pattern}) : ;;"
