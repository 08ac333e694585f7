"""As much of a Dockerfile as ours uses, and what `docker build` would copy for it."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.server import ROOT

_OPTION = re.compile(r"--([a-z-]+)=(\S+)\s+")


class Instruction(NamedTuple):
    """One line, however many it was written on: its word, its `--options`, the rest."""

    word: str
    options: dict[str, str]
    rest: str

    @property
    def command(self) -> list[str]:
        """What CMD runs. Raises ValueError for one that a shell would run."""
        return [str(part) for part in json.loads(self.rest)]

    @property
    def values(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(pair.split("=", 1) for pair in shlex.split(self.rest))


class Stage(NamedTuple):
    """From one FROM to the next. `image` is that of the registry, through other stages."""

    image: str
    instructions: list[Instruction]

    def all(self, word: str) -> list[Instruction]:
        return [found for found in self.instructions if found.word == word]

    def only(self, word: str) -> Instruction:
        [found] = self.all(word)
        return found


def stages(text: str) -> list[Stage]:
    """Each stage, the image itself last."""
    found: list[Stage] = []
    images: dict[str, str] = {}
    for instruction in _instructions(text):
        if instruction.word == "FROM":
            base, _, name = instruction.rest.partition(" AS ")
            images[name] = images.get(base, base)
            found.append(Stage(images[name], []))
        else:
            found[-1].instructions.append(instruction)
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    without_comments = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for line in without_comments.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, rest = line.split(maxsplit=1)
        options = {}
        while match := _OPTION.match(rest):
            options[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(word, options, rest)


def copied(stage: Stage, image: Path) -> Path:
    """The working folder below `image`, with what COPY brings from here and .dockerignore lets through."""
    folder = image / stage.only("WORKDIR").rest.lstrip("/")
    for copy in stage.all("COPY"):
        *sources, target = copy.rest.split()
        if "from" in copy.options:
            continue
        for source in sources:
            _copy(source.rstrip("/"), folder / target if target.endswith("/") else folder)
    return folder


def _copy(source: str, folder: Path) -> None:
    """A file, or what is in a folder. Raises FileNotFoundError when .dockerignore lets none through."""
    sent = [path for path in _files_of(source) if not is_ignored(path)]
    if not sent:
        raise FileNotFoundError(f"COPY {source}: nothing that .dockerignore lets through")
    for path in sent:
        is_inside = path != source
        to = folder / (path.removeprefix(f"{source}/") if is_inside else path.rpartition("/")[2])
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, to)


def _files_of(source: str) -> list[str]:
    if (ROOT / source).is_file():
        return [source]
    return [str(file.relative_to(ROOT)) for file in (ROOT / source).rglob("*") if file.is_file()]


def is_ignored(path: str) -> bool:
    """What the last line of .dockerignore says that fits `path` or a folder it is in."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and _fits(path, pattern.lstrip("!")):
            ignored = not pattern.startswith("!")
    return ignored


def _fits(path: str, pattern: str) -> bool:
    """As Go's filepath.Match, with `**` for any number of folders."""
    pieces = re.split(r"(\*\*/|\*)", pattern)
    names = {"**/": "(?:.*/)?", "*": "[^/]*"}
    expression = "".join(names.get(piece) or re.escape(piece) for piece in pieces)
    return re.fullmatch(f"{expression}(?:/.*)?", path) is not None
