"""The names that an export goes by: ``blsh_...``, or what ``--prefix`` puts in its place.

Everything here is about text: the runtime, the templates and the conformance harness are written
with ``blsh`` and renamed at the edge of the export, so that two exports can share an image, a
translation unit and a build. Names of the tool rather than of the code stay: the manifest, the
copy of the model, the commands and what only the harness defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blsh_trainer.errors import BlshError

DEFAULT_PREFIX = "blsh"

MAX_PREFIX_LENGTH = 16
"""C99 tells external names apart by their first 31 characters; this leaves room for the rest."""

_VALID = re.compile(r"[a-z](_?[a-z0-9])*")
_RESERVED = {
    "a keyword of C or C++": """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl
        concept const consteval constexpr constinit continue default delete do double else enum
        explicit export extern false final float for friend goto if import inline int long mutable
        module namespace new noexcept not not_eq nullptr operator or or_eq override private
        protected public register requires restrict return short signed sizeof static struct switch
        template this throw true try typedef typeid typename typeof union unsigned using virtual
        void volatile wchar_t while xor xor_eq
    """,
    "the name of a system header": """
        arduino assert complex ctype errno fcntl fenv float inttypes iso646 limits locale malloc
        math memory poll regex sched search semaphore setjmp signal stdalign stdarg stdatomic
        stdbool stddef stdint stdio stdlib stdnoreturn string strings termios tgmath threads time
        uchar unistd wchar wctype
    """,
    "the start of names of the C library": "atomic cnd mtx pthread sem std thrd tss",
    "the name of a system library": "c dl gcc m rt util",
    "a target of CMake's own": """
        all clean edit_cache help install package package_source preinstall rebuild_cache test
    """,
}

# An identifier's start, also behind -D; and what follows blsh_ in names that are the tool's.
_START = r"(?:(?<!\w)|(?<=-D))"
_OF_THE_TOOL = r"(?!export\.json\b|model\.(?:npz|bin)\b|harness_|HARNESS_|count_|COUNT_)"
_IN_CODE = re.compile(rf"{_START}(blsh|BLSH)(?=_{_OF_THE_TOOL}|\.[ch]\b)")
_IN_BUILD_FILES = re.compile(rf"(?<!The )(blsh|BLSH)(?:(?=_{_OF_THE_TOOL})|(?![_-][a-z]))")
_IN_PATHS = re.compile(rf"(?<![^/])(blsh|BLSH)(?=_{_OF_THE_TOOL}|\.)")


@dataclass(frozen=True)
class Prefix:
    """What names begin with.

    Attributes:
        name: In lower case, as functions have it; macros have it in upper case.

    Raises:
        BlshError: The name cannot be had; the message names the option.
    """

    name: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        _check(self.name)

    @property
    def upper(self) -> str:
        """As macros begin."""
        return self.name.upper()

    @property
    def is_default(self) -> bool:
        """Whether names stay as they are written."""
        return self.name == DEFAULT_PREFIX

    def code(self, text: str) -> str:
        """Text with its C names renamed: identifiers and the names of C files.

        The word BLSH in prose stays, and so do names of the tool.
        """
        return _IN_CODE.sub(self._own, text)

    def build_file(self, text: str) -> str:
        """A build system's file with targets, variables, options and package names renamed too.

        Commands of the tool and the authors stay.
        """
        return _IN_BUILD_FILES.sub(self._own, text)

    def path(self, path: str) -> str:
        """A file's path below the exported folder, with ``/``."""
        return _IN_PATHS.sub(self._own, path)

    def _own(self, match: re.Match[str]) -> str:
        return self.upper if match[1].isupper() else self.name


def renamed_source(source: Path, prefix: Prefix, work: Path) -> Path:
    """One of the tool's own C files or linker scripts, as an exported folder's names want it.

    Args:
        source: The file, written with ``blsh``.
        prefix: The folder's.
        work: Folder for a renamed copy.

    Returns:
        The file itself where there is nothing to rename, else the copy.
    """
    if prefix.is_default:
        return source
    copy = work / prefix.path(source.name)
    copy.write_text(prefix.code(source.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


def rename_folder(folder: Path, prefix: Prefix, build_files: Iterable[str]) -> None:
    """Rename the files of an export, and the names in them, in place.

    Args:
        folder: A folder in the making.
        prefix: What names are to begin with.
        build_files: Those of its paths that belong to build systems.

    Raises:
        OSError: A file cannot be read or written.
    """
    if prefix.is_default:
        return
    build_files = set(build_files)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        if b"\0" not in data:  # else it is a blob, which has no names
            rename = prefix.build_file if name in build_files else prefix.code
            data = rename(data.decode("utf-8")).encode("utf-8")
        path.unlink()
        (folder / prefix.path(name)).write_bytes(data)


def _check(name: str) -> None:
    if not _VALID.fullmatch(name):
        raise BlshError(
            f"--prefix {name!r}: must be lower-case letters, digits and single underscores that "
            "start with a letter and end with none; try --prefix voice"
        )
    if len(name) > MAX_PREFIX_LENGTH:
        raise BlshError(f"--prefix {name}: must be at most {MAX_PREFIX_LENGTH} characters")
    if name.startswith(f"{DEFAULT_PREFIX}_"):
        raise BlshError(
            f"--prefix {name}: must not begin with {DEFAULT_PREFIX}_, as an export without a "
            f"prefix does; try --prefix {name.removeprefix(f'{DEFAULT_PREFIX}_')}"
        )
    for what, names in _RESERVED.items():
        if name in names.split():
            raise BlshError(f"--prefix {name}: is {what}; try --prefix my_{name}")
