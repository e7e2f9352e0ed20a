"""Makefiles and shell scripts use no feature that macOS lacks: make 3.81, bash 3.2, BSD tools.

These versions cannot be installed where the template is tested, so the files are searched for what
is newer. Each pattern is shown to find a line that uses the feature.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bake import PAYLOAD, ROOT

MAKEFILES = (ROOT / "Makefile", PAYLOAD / "Makefile")
SCRIPTS = (ROOT / ".ci" / "run", *sorted(PAYLOAD.rglob("*.sh")))
SHELLS = (("dash",), ("bash", "--posix"))


@dataclass(frozen=True)
class Feature:
    """A feature that macOS lacks.

    Attributes:
        name: The feature.
        pattern: Regular expression that finds it in a line.
        example: A line that uses it.
    """

    name: str
    pattern: str
    example: str

    def is_in(self, line: str) -> bool:
        """Return True if a line uses it."""
        return re.search(self.pattern, line) is not None


MAKE = (
    Feature("shell assignment (4.0)", r"^\s*[\w.-]+\s*!=", "FILES != ls"),
    Feature("POSIX assignment (4.0)", r"^\s*[\w.-]+\s*:::?=", "FILES ::= a"),
    Feature("$(file) (4.0)", r"\$\(file\s", "$(file >list,a)"),
    Feature("$(guile) (4.0)", r"\$\(guile\s", "$(guile (+ 1 2))"),
    Feature("$(let), $(intcmp) (4.4)", r"\$\((let|intcmp)\s", "$(let a b,1 2,$(a))"),
    Feature("undefine (3.82)", r"^\s*(override\s+)?undefine\s", "undefine FILES"),
    Feature("private (3.82)", r"(^|:)\s*private\s", "run: private A = 1"),
    Feature("define with = (3.82)", r"^\s*(override\s+)?define\s+\S+\s*[:?+]?=", "define A ="),
    Feature("load (4.0)", r"^\s*-?load\s", "load extension.so"),
    Feature("grouped targets (4.3)", r"^[^#\t=]*&\s*:", "a b &: c"),
    Feature(
        "special targets and variables (3.82 to 4.4)",
        r"\.(ONESHELL|SHELLFLAGS|RECIPEPREFIX|EXTRA_PREREQS|NOTINTERMEDIATE|WAIT)\b",
        ".ONESHELL:",
    ),
    Feature("options (4.0)", r"MAKEFLAGS.*(-O|--output-sync|--trace)", "MAKEFLAGS += -O"),
)
SHELL = (
    Feature("mapfile, readarray (4.0)", r"\b(mapfile|readarray)\b", "mapfile -t lines <file"),
    Feature("options of declare (4.0)", r"\b(declare|local|typeset)\s+-\w*[AnluI]", "declare -A a"),
    Feature("case of letters (4.0)", r"\$\{\w+(\[[^]]*\])?(,|\^)", 'echo "${name,,}"'),
    Feature("transformation (4.4)", r"\$\{\w+(\[[^]]*\])?@[A-Za-z]\}", 'echo "${name@Q}"'),
    Feature("negative index (4.3)", r"\$\{\w+\[-\d+\]\}", 'echo "${a[-1]}"'),
    Feature("pipe of both streams (4.0)", r"\|&", "make |& tee log"),
    Feature("appending both streams (4.0)", r"&>>", "make &>>log"),
    Feature("coproc (4.0)", r"\bcoproc\b", "coproc cat"),
    Feature("wait for any (4.3)", r"\bwait\s+-\w*[nfp]", "wait -n"),
    Feature("falling through (4.0)", r";;?&", "a) echo ;;&"),
    Feature("printf into an array (4.1)", r"\bprintf\s+-v\s+\w+\[", "printf -v a[1] x"),
    Feature("printf of the time (4.2)", r"\bprintf\b.*%\([^)]*\)T", "printf '%(%F)T' -1"),
    Feature("test of a variable (4.2)", r"\[\[.*\s-[vR]\s", "[[ -v name ]]"),
    Feature("steps of a range (4.0)", r"\{\w+\.\.\w+\.\.\w+\}", "echo {1..9..2}"),
    Feature("options of the shell (4.0)", r"shopt\s+-s\s+(globstar|lastpipe)", "shopt -s globstar"),
    Feature("variables of bash (4.0)", r"\$\{?(BASHPID|EPOCH\w+|SRANDOM)\b", "echo $BASHPID"),
)
TOOLS = (
    Feature("sed -i", r"\bsed\b[^|;]*\s-\w*i(\s|$)", "sed -n -i s/a/b/ file"),
    Feature("sed --", r"\bsed\b[^|;]*\s--\w", "sed --quiet p file"),
    Feature("escapes of sed", r"\bsed\b[^|;]*\\[tnrswbSWB+?]", "sed 's/ /\\t/' file"),
    Feature("grep -P", r"\bgrep\b[^|;]*\s-\w*P", "grep -oP '\\d' file"),
    Feature("readlink -f", r"\breadlink\s+-\w*[fem]|\brealpath\b", 'readlink -f "$0"'),
    Feature("date -d", r"\bdate\s+(-\w*[dI]|--\w)|\bdate\b[^|;]*%N", "date -d yesterday"),
    Feature("stat -c", r"\bstat\s+(-\w*c|--\w)", "stat -c %s file"),
    Feature("xargs -r", r"\bxargs\b[^|;]*\s(-\w*[rda]\b|--\w)", "ls | xargs -0 -r rm"),
    Feature("sort -V", r"\bsort\b[^|;)]*\s(-\w*[VRhz]|--\w)", "sort -V file"),
    Feature("mktemp", r"\bmktemp\b[^|;)]*\s(-\w*p|--\w)", "mktemp -d --tmpdir a"),
    Feature("long options of cp, mv, ln", r"\b(cp|mv|ln)\s+(-\w*[tD]\s|--\w)", "cp --reflink a b"),
    Feature("cp -u, ln -r", r"\bcp\s+-\w*u|\bln\s+-\w*r", "ln -sr a b"),
    Feature("head -n -1", r"\b(head|tail)\s+-[nc]\s*-|\btail\s+--", "head -n -1 file"),
    Feature("find", r"\bfind\b.*\s-(printf|regextype|readable|executable)\b", "find . -printf %p"),
    Feature("touch -d, du -b", r"\btouch\s+-\w*d|\bdu\s+(-\w*b|--)", "touch -d now file"),
    Feature("base64 -w", r"\bbase64\s+(-w|--wrap)", "base64 -w 0 file"),
    Feature("gensub", r"\bgensub\(", "awk '{ print gensub(/a/, 1, 1) }'"),
    Feature("echo -e", r"\becho\s+-\w*e", "echo -e 'a\\tb'"),
    Feature(
        "programs of GNU and Linux",
        r"(^|[|;&(@]|\bthen|\bdo)\s*(flock|md5sum|nproc|numfmt|setsid|sha\d+sum|shuf|tac|timeout)\s",
        "a=$(nproc )",
    ),
)
FEATURES = (*MAKE, *SHELL, *TOOLS)


def list_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, without comments; a `$$` of a recipe is a `$`."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.lstrip().startswith("#"):
            recipe = file.name == "Makefile" and line.startswith("\t")
            yield number, line.replace("$$", "$") if recipe else line


def find_features(file: Path) -> list[str]:
    """Return each use of a feature that macOS lacks, with its place."""
    found = []
    for number, line in list_lines(file):
        # In a recipe, `!=` and the like are the shell's.
        syntax = MAKE if file.name == "Makefile" and not line.startswith("\t") else ()
        found += [
            f"{file.relative_to(ROOT)}:{number}: {feature.name}: {line.strip()}"
            for feature in (*syntax, *SHELL, *TOOLS)
            if feature.is_in(line)
        ]
    return found


@pytest.mark.parametrize("feature", FEATURES, ids=[feature.name for feature in FEATURES])
def test_each_pattern_finds_its_feature(feature: Feature) -> None:
    assert feature.is_in(feature.example)


@pytest.mark.parametrize("file", [*MAKEFILES, *SCRIPTS], ids=lambda file: file.name)
def test_no_feature_is_used_that_macos_lacks(file: Path) -> None:
    assert find_features(file) == []


@pytest.mark.parametrize("line", ["FILES != ls", "run:\n\t@sed -i s/a/b/ $$FILE"])
def test_a_planted_line_is_found(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_portability.ROOT", tmp_path)
    copy = tmp_path / "Makefile"
    copy.write_text(f"{MAKEFILES[1].read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    (found,) = find_features(copy)
    assert line.splitlines()[-1].split()[0] in found.replace("$", "$$")


def run_script(shell: tuple[str, ...], *arguments: str | Path, folder: Path) -> tuple[int, str]:
    """Run a script under a shell; return its exit code and what it printed."""
    program = shutil.which(shell[0])
    assert program is not None, f"{shell[0]} is missing; install it"
    done = subprocess.run(
        [program, *shell[1:], *map(str, arguments)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "TODAY": "2026-01-01"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("script", SCRIPTS[1:], ids=lambda script: script.stem)
def test_a_script_is_read_by_both_shells(shell: tuple[str, ...], script: Path) -> None:
    assert run_script(shell, "-n", script, folder=ROOT) == (0, "")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_scripts_do_the_same_under_both_shells(shell: tuple[str, ...], tmp_path: Path) -> None:
    scripts = PAYLOAD / ".github" / "scripts"
    message = tmp_path / "message"
    message.write_text("Add a column\n\nIt was missing.\n", encoding="utf-8")
    check = scripts / "check-commit-message.sh"
    assert run_script(shell, check, message, folder=tmp_path) == (0, "")
    message.write_text(f"Add {'ä' * 70}\n", encoding="utf-8")
    code, printed = run_script(shell, check, message, folder=tmp_path)
    assert (code, "above 72 characters" in printed) == (1, True)
    (tmp_path / ".github").mkdir()
    exceptions = tmp_path / ".github" / "vulnerability-exceptions.txt"
    exceptions.write_text("# ID DATE REASON\nA-1 2026-02-01 unused\nA-2 2025-02-01 unused\n")
    expected = "A-1\nexpired on 2025-02-01: A-2, unused\n"
    assert run_script(shell, scripts / "exceptions.sh", folder=tmp_path) == (0, expected)
    for script, kind in (("service.sh", "action"), ("job.sh", "job")):
        code, printed = run_script(shell, PAYLOAD / "deploy" / script, "dance", folder=tmp_path)
        assert (code, f"error: {script} has no {kind} 'dance'" in printed) == (1, True)
