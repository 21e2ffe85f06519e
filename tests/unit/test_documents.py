"""What the documents say exists: alarms, commands, options, files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pbx.__main__ import COMMANDS, build
from pbx.settings import PROJECT

PAGES = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("*/README.md"), *PROJECT.glob("docs/**/*.md")]
)


def alarms_in_the_code() -> set[str]:
    """Names given to `raise_alarm`, `Condition` or `alarms[…]`; `.+` where computed."""
    found: set[str] = set()
    for room in ("pbx", "agi"):
        for path in (PROJECT / room).rglob("*.py"):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.update(_named_in(function))
    return found


def _named_in(function: ast.AST) -> Iterator[str]:
    local = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="raise_alarm") | ast.Name(id="Condition"),
                args=[first, *_],
            ):
                name = local.get(first.id) if isinstance(first, ast.Name) else first
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="alarms"), slice=name)]
            ):
                pass
            case _:
                continue
        match name:
            case ast.Constant(value=str(text)):
                yield re.escape(text)
            case ast.JoinedStr(values=parts):
                yield "".join(
                    re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+"
                    for p in parts
                )
            case _:
                pass


def alarms_in_the_runbook() -> set[str]:
    told: set[str] = set()
    is_alarms = False
    for line in (PROJECT / "docs" / "runbook.md").read_text().splitlines():
        if not line.startswith("|"):
            is_alarms = False
        elif line.startswith("| alarm |"):
            is_alarms = True
        elif is_alarms:
            told.update(re.findall(r"`([^`]+)`", line.split("|")[1]))
    return told


def test_the_runbook_has_every_alarm_and_no_other() -> None:
    code, told = alarms_in_the_code(), alarms_in_the_runbook()
    assert len(code) > 10
    assert not [a for a in code if not any(re.fullmatch(a, t) for t in told)]
    assert not [t for t in told if not any(re.fullmatch(a, t) for a in code)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [t for t in targets if "://" not in t]
    gone = [t for t in local if not (page.parent / t).exists()]
    assert gone == []


def every_command() -> dict[str, Any]:
    """By the words one types: `run`, `ghostfilter`, `ghostfilter evaluate`."""
    found = dict(getattr(typer.main.get_command(build()), "commands"))  # noqa: B009
    for name, command in list(found.items()):
        for below, inner in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = inner
    return found


def options() -> dict[str, set[str]]:
    return {
        name: {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        for name, command in every_command().items()
    }


GROUPS = "|".join({name.split()[0] for name in every_command() if " " in name})


def test_commands_and_options_exist() -> None:
    known = options()
    assert {name for name in known if " " not in name} == set(COMMANDS)
    for page in PAGES:
        for name, rest in re.findall(
            rf"\bgerbang ((?:{GROUPS}) [a-z]+|[a-z]+)"
            r"((?: +(?:--?[a-z-]+|[0-9A-Z][\w.]*))*)",
            page.read_text(),
        ):
            assert name in known, f"{page.name}: gerbang {name}"
            for option in re.findall(r"(--[a-z-]+)", rest):
                assert option in known[name] | {"--help"}, f"{page.name}: {name} {rest}"


def test_every_help_text_teaches() -> None:
    for name, command in every_command().items():
        assert f"[bold]gerbang {name}" in command.help, f"{name}: no example"
        assert "Exit status" in command.help, f"{name}: no exit status"
        assert command.hidden or command.rich_help_panel, f"{name}: in no panel"
        shown = re.sub(r"\[/?bold\]", "", command.help)
        assert max(map(len, shown.splitlines())) <= 78, f"{name}: wraps at 80 columns"


def test_the_walkthrough_quotes_what_is_there() -> None:
    page = (PROJECT / "docs" / "walkthrough.md").read_text()
    plan = (PROJECT / "asterisk-config/rendered/extensions.conf").read_text()
    quoted = re.findall(r"^(?:exten =>| same =>|\[).*$", page, re.M)
    assert len(quoted) > 20
    assert [line for line in quoted if line not in plan.splitlines()] == []
    call = (PROJECT / "tests/replay/key-connected/journal.jsonl").read_text()
    for event, told in re.findall(r"^\| 0.* \| `([A-Z]+)` \| `([^`…]+)", page, re.M):
        assert told in call, event
