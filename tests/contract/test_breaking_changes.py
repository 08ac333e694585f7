"""breaking.mjs finds the changes of the contract that break a client."""

import json

from tests.support.contract_checks import CONTRACT
from tests.support.contract_edits import (
    Contract,
    Edit,
    add,
    drop,
    edited,
    leave_out_most,
    put,
    rename,
    rename_schema,
    take,
    together,
)
from tests.support.programs import run_node

SCHEMAS, PARAMETERS, HEADERS = (f"components {kind}" for kind in ("schemas", "parameters", "headers"))
LIST, TASK = "paths /api/{user_id}/tasks", "paths /api/{user_id}/tasks/{task_id}"
COMPLETE, SIGNUP, READY = f"{TASK}/complete patch", "paths /api/auth/signup post", "paths /health/ready get"
METRICS = "paths /metrics get"
JSON_BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}
STRING = {"type": "string", "maxLength": 9}
IF_NONE_MATCH = {"name": "If-None-Match", "in": "header", "schema": STRING}
GONE = {"description": "Not modified."}
QUERY = {"name": "q", "in": "query", "schema": STRING}
ONE_OF_THREE = CONTRACT["components"]["schemas"]["TaskChanges"]["not"]["not"]["anyOf"]
TITLE_PATTERN = CONTRACT["components"]["schemas"]["Title"]["pattern"]
KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}


def title_and(pattern: str) -> Contract:
    """Return the schema of a title with another pattern."""
    return {"allOf": [{"$ref": "#/components/schemas/Title"}, {"pattern": pattern}]}


NEITHER, BOTH, MAKING, UNMAKING = (False, False), (True, True), (True, False), (False, True)
"""Whether a change breaks clients as it is made, and as it is taken back."""

CHANGES: dict[str, tuple[tuple[bool, bool], Edit]] = {
    "an operation goes": (MAKING, drop(f"{TASK} get")),
    "a path goes": (MAKING, drop(TASK)),
    "a path has another name": (BOTH, rename(LIST, "/api/{user_id}/todos")),
    "an operation has another id": (BOTH, put(f"{TASK} get operationId", "tasks.read")),
    "an operation is deprecated": (NEITHER, put(f"{TASK} get deprecated", True)),
    "the server moves": (BOTH, put("servers 0 url", "/v2")),
    "another server": (UNMAKING, add("servers", {"url": "https://todo.example"})),
    # What a client sends.
    "an optional header": (UNMAKING, add(f"{TASK} get parameters", QUERY | {"name": "X-A", "in": "header"})),
    "an optional query parameter": (UNMAKING, add(f"{LIST} get parameters", QUERY)),
    "a required query parameter": (BOTH, add(f"{LIST} get parameters", QUERY | {"required": True})),
    "a required one with a default": (
        BOTH, add(f"{LIST} get parameters", QUERY | {"required": True, "schema": STRING | {"default": "a"}})),
    "a parameter becomes required": (MAKING, put(f"{PARAMETERS} cursor required", True)),
    "one with a default does": (MAKING, put(f"{PARAMETERS} limit required", True)),
    "a query parameter has another name": (BOTH, put(f"{PARAMETERS} limit name", "size")),
    "a header has another name": (BOTH, put(f"{PARAMETERS} if_match name", "If-Version")),
    "a path parameter has another name": (
        BOTH, together(put(f"{PARAMETERS} task_id name", "id"), rename(TASK, "/api/{user_id}/tasks/{id}"),
                       rename(f"{TASK}/complete", "/api/{user_id}/tasks/{id}/complete"))),
    "a parameter moves to the headers": (BOTH, put(f"{PARAMETERS} cursor in", "header")),
    "a parameter has another type": (
        BOTH, put(f"{PARAMETERS} limit schema", {"type": "string", "default": 1000})),
    "a parameter has another default": (BOTH, put(f"{PARAMETERS} limit schema default", 10)),
    "a parameter may be less": (MAKING, put(f"{PARAMETERS} limit schema maximum", 500)),
    "a parameter may not be so small": (MAKING, put(f"{PARAMETERS} limit schema minimum", 2)),
    "a parameter has a value less": (MAKING, take(f"{PARAMETERS} status schema enum", "all")),
    "a parameter has a value more": (UNMAKING, add(f"{PARAMETERS} status schema enum", "late")),
    "a parameter has another value": (BOTH, put(f"{PARAMETERS} status schema enum 0", "each")),
    "a parameter has any type": (UNMAKING, put(f"{PARAMETERS} limit schema", {"default": 1000})),
    "another member has to be sent": (BOTH, put(f"{SCHEMAS} TaskInput required 0", "description")),
    "a member may have any type": (UNMAKING, put(f"{SCHEMAS} TaskInput properties completed", {})),
    "a parameter is limited to values": (MAKING, put(f"{PARAMETERS} cursor schema enum", ["a", "b"])),
    "a parameter has another pattern": (BOTH, put(f"{PARAMETERS} cursor schema pattern", "^a+$")),
    "a parameter has a format": (MAKING, put(f"{PARAMETERS} cursor schema format", "uuid")),
    "a body becomes required": (MAKING, put(f"{COMPLETE} requestBody required", True)),
    "an optional body": (UNMAKING, put(f"{TASK} delete requestBody", JSON_BODY)),
    "a required body": (BOTH, put(f"{TASK} delete requestBody", JSON_BODY | {"required": True})),
    "a body may be XML": (
        UNMAKING, put(f"{LIST} post requestBody content application/xml", {"schema": STRING})),
    "a body has to be XML": (
        BOTH, rename(f"{LIST} post requestBody content application/json", "application/xml")),
    "a member may be sent": (UNMAKING, put(f"{SCHEMAS} UserInput properties name", STRING)),
    "a member has to be sent": (
        BOTH, together(put(f"{SCHEMAS} UserInput properties name", STRING),
                       add(f"{SCHEMAS} UserInput required", "name"))),
    "one with a default has to be sent": (
        BOTH, together(put(f"{SCHEMAS} UserInput properties name", STRING | {"default": "a"}),
                       add(f"{SCHEMAS} UserInput required", "name"))),
    "a member no longer has to be sent": (UNMAKING, take(f"{SCHEMAS} UserInput required", "email")),
    "a member is no longer read": (MAKING, drop(f"{SCHEMAS} TaskInput properties completed")),
    "a sent text may be shorter": (MAKING, put(f"{SCHEMAS} NewPassword maxLength", 99)),
    "a sent text has to be longer": (MAKING, put(f"{SCHEMAS} NewPassword minLength", 10)),
    "a sent text has no pattern": (UNMAKING, drop(f"{SCHEMAS} NewPassword pattern")),
    "null may be sent": (UNMAKING, put(f"{SCHEMAS} NewPassword nullable", True)),
    "unknown members are refused": (MAKING, put(f"{SCHEMAS} UserInput additionalProperties", False)),
    "one of some members has to be sent": (
        MAKING, put(f"{SCHEMAS} Completion anyOf", [{"required": ["completed"]}])),
    "one of fewer members has to be sent": (MAKING, drop(f"{SCHEMAS} TaskChanges not not anyOf 2")),
    "one of some members has to be sent, said without not": (
        NEITHER, together(put(f"{SCHEMAS} TaskChanges anyOf", ONE_OF_THREE),
                          drop(f"{SCHEMAS} TaskChanges not"))),
    "the same pattern twice": (
        NEITHER, put(f"{SCHEMAS} TaskInput properties title", title_and(TITLE_PATTERN))),
    "two patterns": (BOTH, put(f"{SCHEMAS} TaskInput properties title", title_and("^x"))),
    "a schema has another name": (NEITHER, rename_schema("TaskInput", "NewTask")),
    "a member or more has to be sent": (MAKING, put(f"{SCHEMAS} Completion minProperties", 1)),
    # What a client gets.
    "a new failure": (UNMAKING, put(f"{TASK} get responses 410", {"description": "Gone."})),
    "a new success": (BOTH, put(f"{TASK} delete responses 202", {"description": "Soon."})),
    "a 304 for a new optional header": (
        UNMAKING, together(add(f"{TASK} delete parameters", IF_NONE_MATCH),
                           put(f"{TASK} delete responses 304", GONE))),
    "a 304 for a new required header": (
        BOTH, together(add(f"{TASK} delete parameters", IF_NONE_MATCH | {"required": True}),
                       put(f"{TASK} delete responses 304", GONE))),
    "a 304 for another header": (
        BOTH, together(add(f"{TASK} delete parameters", IF_NONE_MATCH | {"name": "X-A"}),
                       put(f"{TASK} delete responses 304", GONE))),
    "another success": (BOTH, rename(f"{TASK} delete responses 204", "200")),
    "a failure goes": (MAKING, drop(f"{TASK} delete responses 412")),
    "an answer has another type": (
        BOTH, rename("components responses Task content application/json", "application/xml")),
    "a list becomes an object": (BOTH, put(f"{SCHEMAS} Tasks", {"type": "object", "properties": {}})),
    "a member more, now and then": (UNMAKING, put(f"{SCHEMAS} Task properties due", STRING)),
    "a member more, always": (
        UNMAKING, together(put(f"{SCHEMAS} Task properties due", STRING),
                           add(f"{SCHEMAS} Task required", "due"))),
    "a member goes": (
        MAKING, together(drop(f"{SCHEMAS} Task properties completed"),
                         take(f"{SCHEMAS} Task required", "completed"))),
    "a member comes only now and then": (MAKING, take(f"{SCHEMAS} Task required", "completed")),
    "no member is sure to come": (MAKING, drop(f"{SCHEMAS} Task required")),
    "a member has another type": (BOTH, put(f"{SCHEMAS} Task properties completed", STRING)),
    "a member may be null": (MAKING, put(f"{SCHEMAS} Timestamp nullable", True)),
    "a member has a value more": (MAKING, add(f"{SCHEMAS} Health properties status enum", "slow")),
    "a member has another value": (BOTH, put(f"{SCHEMAS} Health properties status enum 0", "well")),
    "a member has any type": (MAKING, put(f"{SCHEMAS} Task properties completed", {})),
    "another member is sure to come": (BOTH, put(f"{SCHEMAS} Problem required 0", "errors")),
    "what nobody judges": (BOTH, put(f"{SCHEMAS} Health discriminator", {"propertyName": "status"})),
    "no member is known": (MAKING, put(f"{SCHEMAS} Health", {"type": "object"})),
    "nothing is known": (MAKING, put(f"{SCHEMAS} Health", {})),
    "a member has one of several types": (MAKING, put(f"{SCHEMAS} Task properties completed", {
        "anyOf": [{"type": "boolean"}, STRING]})),
    "a member has any value": (MAKING, put(f"{SCHEMAS} Health properties status", {"type": "string"})),
    "a member has a longer text": (MAKING, put(f"{SCHEMAS} User properties email", {"type": "string"})),
    "a member has a larger number": (MAKING, put(f"{SCHEMAS} Session properties expires_in maximum", 10**6)),
    "a member has another format": (BOTH, put(f"{SCHEMAS} Timestamp format", "date")),
    "a member has no format": (MAKING, drop(f"{SCHEMAS} Timestamp format")),
    "a member has another pattern": (BOTH, put(f"{SCHEMAS} Problem properties type pattern", "^x$")),
    "more items": (MAKING, put(f"{SCHEMAS} Tasks maxItems", 5000)),
    "no other members are sent": (NEITHER, put(f"{SCHEMAS} Health additionalProperties", False)),
    "a header more": (UNMAKING, put("components responses Task headers X-A", {"schema": STRING})),
    "a header goes": (MAKING, drop("components responses Task headers ETag")),
    "a header comes only now and then": (MAKING, drop(f"{HEADERS} ETag required")),
    "a header has another type": (BOTH, put(f"{HEADERS} Retry-After schema", STRING)),
    "a header has another pattern": (BOTH, put(f"{HEADERS} ETag schema pattern", "^x$")),
    "a header has a longer text": (MAKING, put(f"{HEADERS} ETag schema maxLength", 99)),
    "a header has a value more": (MAKING, add(f"{HEADERS} Cache-Control schema enum", "public")),
    # What is sent one way and comes back the other.
    "a text that is sent and comes back is longer": (BOTH, put(f"{SCHEMAS} Title maxLength", 300)),
    "one that is sent and comes back may be null": (BOTH, put(f"{SCHEMAS} Title nullable", True)),
    # Who may ask.
    "a token is asked for": (MAKING, drop(f"{METRICS} security")),
    "a token or a key is asked for": (
        UNMAKING, together(put("components securitySchemes key", KEY), add("security", {"key": []}))),
    "a token and a key are asked for": (
        BOTH, together(put("components securitySchemes key", KEY),
                       put("security", [{"bearer": [], "key": []}]))),
    "a key is asked for": (
        BOTH, together(put("components securitySchemes key", KEY), put("security", [{"key": []}]))),
    "the token is another": (BOTH, put("components securitySchemes bearer scheme", "basic")),
    # Words.
    "a description": (
        NEITHER, together(put(f"{SCHEMAS} Title description", "x"), put(f"{LIST} get summary", "x"))),
    "an example": (NEITHER, put(f"{SCHEMAS} Title example", "x")),
    "links": (NEITHER, drop(f"{LIST} post responses 201 links")),
    "what only this server reads": (
        NEITHER, together(put(f"{LIST} post x-rate-limit", "x"),
                          put("components securitySchemes bearer x-bearerInfoFunc", "x"))),
    "the name of a schema": (NEITHER, together(
        rename(f"{SCHEMAS} Health", "Wellness"),
        put("components responses Health content application/json schema",
            {"$ref": "#/components/schemas/Wellness"}))),
}  # fmt: skip
COMPARE = """
import { readFileSync } from 'node:fs';
import { compare } from './tests/contract/changes.mjs';
const pairs = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(pairs.map(([before, after]) => compare(before, after))));
"""


def test_changes_that_break_a_client_are_known():
    before = edited(leave_out_most)
    afters = [edited(leave_out_most, edit) for _, edit in CHANGES.values()]
    pairs = [pair for after in afters for pair in ((before, after), (after, before))]
    finished = run_node("--input-type=module", "--eval", COMPARE, given=json.dumps(pairs))
    assert not finished.stderr
    breaks = [bool(result["breaks"]) for result in json.loads(finished.stdout)]
    found = dict(zip(CHANGES, zip(breaks[::2], breaks[1::2], strict=True), strict=True))
    assert found == {name: expected for name, (expected, _) in CHANGES.items()}
