"""What is installed is complete, and the packages know no more of each other than they should."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "blsh_trainer": "trainer",
    "blsh_codegen": "codegen",
    "blsh_evaluation": "evaluation",
}

# The code generator knows of the trainer only the model file, the common tools below it, and what
# a report measures with: the float denoiser, scores, validation mixtures and costs by stage.
SHARED_MODULES = {
    "blsh_trainer",
    "blsh_trainer.audio",
    "blsh_trainer.condensed_model",
    "blsh_trainer.corpus",
    "blsh_trainer.denoiser",
    "blsh_trainer.errors",
    "blsh_trainer.files",
    "blsh_trainer.json_values",
    "blsh_trainer.mask_symbols",
    "blsh_trainer.metrics",
    "blsh_trainer.mixing",
    "blsh_trainer.model_file",
    "blsh_trainer.model_shape",
    "blsh_trainer.quality",
    "blsh_trainer.stage_cost",
    "blsh_trainer.streams",
    "blsh_trainer.synthetic",
    "blsh_trainer.validation",
}


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(node.module or "")
    return modules


def test_data_flows_one_way() -> None:
    for path in (ROOT / "trainer").rglob("*.py"):
        foreign = {
            m for m in imported_modules(path) if m.startswith("blsh_") and "trainer" not in m
        }
        assert not foreign, f"{path} knows of what comes after training"
    for path in (ROOT / "codegen").rglob("*.py"):
        imported = imported_modules(path)
        assert not {m for m in imported if m.startswith("blsh_evaluation")}, path
        known = {m for m in imported if m.startswith("blsh_trainer")}
        assert known <= SHARED_MODULES, f"{path} knows more of the trainer than the model file"


def test_modules_import_without_cycles() -> None:
    """Each module can be the first that is imported."""
    for package, room in ROOMS.items():
        for path in sorted((ROOT / room / package).glob("*.py")):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            graph = {path.stem: imported_modules(path)}
            assert name not in graph[path.stem], f"{name} imports itself"
    edges = {
        f"{package}.{path.stem}": {
            m for m in imported_modules(path) if m.startswith("blsh_") and "." in m
        }
        for package, room in ROOMS.items()
        for path in (ROOT / room / package).glob("*.py")
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"import cycle: {' -> '.join((*above, module))}"
        if module not in done:
            for below in edges.get(module, ()):
                visit(below, (*above, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.fixture(scope="module")
def wheel_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a clean environment into which the built wheel alone was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("blsh-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, wheel], check=True, capture_output=True)
    return python


def test_wheel_exports_verifies_and_denoises_outside_the_checkout(
    wheel_python: Path, tmp_path: Path
) -> None:
    def run(command: str, *arguments: str) -> str:
        return subprocess.run(
            [wheel_python.with_name(command), *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        ).stdout

    exported = json.loads(run("blsh-export", "--target", "generic", "--json"))
    assert Path(exported["directory"]) == tmp_path / "blsh-generic"
    assert exported["flash_bytes"] < 512 * 1024
    verified = json.loads(run("blsh-verify", "blsh-generic", "--frames", "8", "--json"))
    assert verified["bit_exact"] is True
    code = (
        "import blsh_trainer, numpy as np; from blsh_trainer.synthetic import synthetic_noise;"
        "from blsh_trainer.audio import write_wav; print(blsh_trainer.__file__);"
        "write_wav('in.wav', synthetic_noise('pink', 1.0, 16000, np.random.default_rng(0)), 16000)"
    )
    where = subprocess.run(
        [wheel_python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout
    assert str(ROOT) not in where
    assert "times real time" in run("blsh-denoise", "in.wav", "out.wav")
    for command in ("blsh-train", "blsh-export", "blsh-verify", "blsh-denoise", "blsh-evaluate"):
        assert "Usage" in run(command, "--help")
