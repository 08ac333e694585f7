"""Startup: the app is assembled only if the contract, its security and the handlers fit together."""

import asyncio
from typing import Any

import pytest
from connexion.exceptions import ResolverError
from connexion.spec import OpenAPISpecification

from app import check_assembly
from contract import validation
from security.gate import UndocumentedLimitError, UnsecuredOwnerError
from settings import Settings
from tests.support.contract_checks import CONTRACT
from tests.support.contract_edits import Edit, add, drop, edited, put

LIST = "paths /api/{user_id}/tasks"
TASK = "paths /api/{user_id}/tasks/{task_id}"
COMPLETE = "paths /api/{user_id}/tasks/{task_id}/complete"
LOGIN, LIVE = "paths /api/auth/login", "paths /health/live"
HEADER = {"name": "X-Odd", "in": "header", "schema": {"type": "string", "maxLength": 9}}
SETTINGS = Settings(database_url="sqlite:///none.db")


@pytest.fixture
def assemble(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Assemble the app with an edited contract. Without Connexion's own check, which takes 80 ms."""

    def assemble(edit: Edit) -> None:
        monkeypatch.setattr(OpenAPISpecification, "_validate_spec", lambda *_: None)
        monkeypatch.setattr(validation, "load_contract", lambda: edited(edit))
        asyncio.run(check_assembly(SETTINGS))

    return assemble


def test_contract_fits_the_handlers():
    asyncio.run(check_assembly(SETTINGS))


@pytest.mark.parametrize("operation", [f"{LIST} get", f"{LIST} post", f"{TASK} get", f"{LOGIN} post"])
def test_documented_429_without_a_rate_limit_is_rejected(assemble: Any, operation: str):
    with pytest.raises(UndocumentedLimitError):
        assemble(drop(f"{operation} x-rate-limit"))


@pytest.mark.parametrize(
    "edit",
    [
        drop(f"{TASK} delete responses 429"),
        drop(f"{LOGIN} post responses 429"),
        put(f"{LIVE} get x-rate-limit", "api"),
    ],
    ids=["of a user", "of an address", "new"],
)
def test_rate_limit_without_a_documented_429_is_rejected(assemble: Any, edit: Edit):
    with pytest.raises(UndocumentedLimitError):
        assemble(edit)


USER_OPERATIONS = [
    f"paths {path} {method}"
    for path, item in CONTRACT["paths"].items()
    if "{user_id}" in path
    for method in item
    if method != "parameters"
]


@pytest.mark.parametrize("operation", USER_OPERATIONS)
def test_operation_on_a_users_path_without_security_is_rejected(assemble: Any, operation: str):
    with pytest.raises(UnsecuredOwnerError):
        assemble(put(f"{operation} security", []))


@pytest.mark.parametrize("security", [[{}, {"bearer": []}], [{"bearer": []}, {}], [{}]], ids=str)
def test_operation_on_a_users_path_with_optional_security_is_rejected(assemble: Any, security: Any):
    with pytest.raises((UnsecuredOwnerError, ValueError)):
        assemble(put(f"{LIST} get security", security))


def test_users_paths_without_security_by_default_are_rejected(assemble: Any):
    with pytest.raises(UnsecuredOwnerError):
        assemble(drop("security"))


@pytest.mark.parametrize("operation_id", ["tasks.nonsense", "nonsense.list", "tasks"])
def test_operation_without_a_handler_is_rejected(assemble: Any, operation_id: str):
    with pytest.raises((ResolverError, TypeError)):
        assemble(put(f"{LIST} get operationId", operation_id))


OTHER_ARGUMENTS: dict[str, Edit] = {
    "another operation's": put(f"{LIST} get operationId", "tasks.create"),
    "fewer": put(f"{LIST} get parameters", []),
    "one more header": add(f"{LIST} get parameters", HEADER),
    "one more parameter": add(f"{TASK} delete parameters", HEADER | {"name": "odd", "in": "query"}),
    "no body": drop(f"{COMPLETE} patch requestBody"),
    "a body": put(
        f"{TASK} get requestBody", CONTRACT["paths"]["/api/{user_id}/tasks"]["post"]["requestBody"]
    ),
}


@pytest.mark.parametrize("edit", OTHER_ARGUMENTS.values(), ids=OTHER_ARGUMENTS)
def test_handler_whose_arguments_differ_from_the_contract_is_rejected(assemble: Any, edit: Edit):
    with pytest.raises(TypeError, match="the contract gives"):
        assemble(edit)


def test_format_that_nothing_checks_is_rejected(assemble: Any):
    with pytest.raises(ValueError, match="hostname"):
        assemble(put("components schemas Title format", "hostname"))
