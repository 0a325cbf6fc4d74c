"""Gives a typer command the options that `Settings` declares, so that no option is written down twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from sandbox.settings import Option, options

Command = TypeVar("Command", bound=Callable[..., int])


def offers(*names: str) -> Callable[[Command], Command]:
    """Replace a command's `**flags` by the options called `names`; each arrives in it as None where not
    given."""

    def decorate(command: Command) -> Command:
        known = options()
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        derived = [_parameter(known[name]) for name in names]
        command.__signature__ = signature.replace(parameters=[*own, *derived])  # type: ignore[attr-defined]
        # typer asks for both; older ones look at the annotations first.
        command.__annotations__ = {one.name: one.annotation for one in [*own, *derived]}
        return command

    return decorate


def _parameter(option: Option) -> inspect.Parameter:
    """Flags are taken as text and converted by `settings.load`, which knows the types and names the
    source."""
    kind: Any = str | None
    if option.type is bool:
        kind = bool | None
    elif option.many:
        kind = list[str] | None
    help_text = f"{option.help} [{option.shown}]" if option.shown else option.help
    metavar = None if option.type is bool else option.metavar
    default = typer.Option(None, option.flag, help=help_text, metavar=metavar, show_default=False)
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
