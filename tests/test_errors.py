"""Exit codes are a contract: a finding can never be mistaken for a crash, nor a crash for a finding."""

from __future__ import annotations

import pickle

import pytest

from sandbox import errors


def every_class(base: type[errors.BaitboxError] = errors.BaitboxError) -> list[type[errors.BaitboxError]]:
    return [base, *(found for one in base.__subclasses__() for found in every_class(one))]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.BaitboxError, 1),
        (errors.UsageError, 2),
        (errors.TargetError, 3),
        (errors.RegistryError, 3),
        (errors.StoreError, 3),
        (errors.BackendError, 4),
    ],
)
def test_each_class_has_its_exit_code(kind: type[errors.BaitboxError], code: int) -> None:
    assert kind("x").exit_code == code


def test_no_error_shares_a_code_with_a_verdict() -> None:
    verdicts = {errors.EXIT_CLEAN, errors.EXIT_INCONCLUSIVE, errors.EXIT_SUSPICIOUS, errors.EXIT_MALICIOUS}
    assert len(verdicts) == 4
    assert not verdicts & {kind.exit_code for kind in every_class()}


def test_the_sentence_is_the_text_and_the_hint_stands_beside_it() -> None:
    error = errors.TargetError("no such package", "look at the name")
    assert str(error) == "no such package"
    assert error.hint == "look at the name"
    assert errors.TargetError("no such package").hint == ""


def test_an_error_travels_between_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(errors.RegistryError("gone", "try again")))  # our own
    assert type(error) is errors.RegistryError
    assert (str(error), error.hint, error.exit_code) == ("gone", "try again", 3)
