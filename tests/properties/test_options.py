"""Whatever a command is told: it works, or says in words what is wrong and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from blsh_codegen.cli_bench import bench
from blsh_codegen.cli_denoise import denoise
from blsh_codegen.cli_export import export
from blsh_codegen.cli_verify import verify
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import export_model
from blsh_codegen.manifest import MANIFEST, load_export
from blsh_codegen.targets import TARGETS, find_target
from blsh_trainer.cli import train
from blsh_trainer.errors import BlshError
from blsh_trainer.json_values import parse_object
from blsh_trainer.model_file import save_model
from blsh_trainer.pareto import load_trials
from blsh_trainer.presets import PRESETS
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import SMALL, random_model
from tests.properties.tiers import Tier, in_tiers
from tests.properties.values import file_names, json_values, numbers, words

MODEL = random_model(SMALL)
Options = dict[str, str]

TEXT = st.one_of(
    numbers.map(str),
    st.sampled_from(
        ["", "nan", "-nan", "inf", "-inf", "1e400", "-0", "1_000", "٣", " 5 ", "5%", "0x10", "1e3"]
    ),
    words,
)
NAMES = st.one_of(
    file_names,
    st.sampled_from(
        ["new", "sub/new", "new.wav", "\udcff", "x" * 300, ".", "..", "", "folder", "folder/x",
         "model.npz", "model.npz/x", "in.wav", "/dev/null", "/dev/null/x", "-", "--", "loop"]
    ),
)  # fmt: skip
"""Paths that lead nowhere beyond the folder of the command, but to what it may not touch."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model, a recording, folders of recordings and a link to itself."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_model(MODEL, folder / "model.npz")
    tone = 0.3 * np.sin(np.arange(8000) / 7)
    soundfile.write(folder / "in.wav", tone, 8000)
    for kind in ("folder", "speech", "noise"):
        (folder / kind).mkdir()
    soundfile.write(folder / "speech" / "a.wav", tone, 8000)
    (folder / "noise" / "cut.wav").write_bytes((folder / "in.wav").read_bytes()[:1000])
    (folder / "\udcff.wav").write_bytes((folder / "in.wav").read_bytes())
    (folder / "loop").symlink_to("loop")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def run(command: click.Command, words: Sequence[str]) -> Result:
    """Run a command, which ends with words and not with a traceback."""
    done = CliRunner().invoke(command, list(words), input=b"\1\2" * 200)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 1, 2)
    return done


def as_words(options: Options) -> list[str]:
    return [f"{name}={value}" if name.startswith("--") else f"{name}{value}"
            for name, value in options.items()]  # fmt: skip


def shown(name: str) -> str:
    """A name as messages show it; no name is the current folder's."""
    return BlshError(name or ".").message


def check_refused_or_done(
    command: click.Command, words: Sequence[str], place: Path, told: Sequence[str]
) -> Result:
    """Nothing is left behind by what is refused, and the refusal names something that was given."""
    before = contents(place.parent)
    done = run(command, words)
    after = contents(place.parent)
    assert not [name for name in after if ".blsh-" in name]
    if done.exit_code != 0:
        assert after == before
        assert "Error: " in done.stderr
        assert any(shown(name) in done.stderr for name in told), (done.stderr, words)
    return done


# --- blsh-export --------------------------------------------------------------------------------


@in_tiers
def test_export(tier: Tier, place: Path) -> None:
    targets = st.one_of(st.sampled_from(list(TARGETS)), TEXT)
    optional = {
        "--model": st.one_of(st.just("model.npz"), NAMES),
        "-o": NAMES,
        "--prefix": st.one_of(st.sampled_from(["voice", "int", "blsh"]), TEXT),
    }

    @tier(50)
    @given(st.fixed_dictionaries({"--target": targets}, optional=optional), st.booleans())
    @example({"--target": "generic", "--model": "model.npz", "-o": "\udcff"}, False)
    @example({"--target": "generic", "--model": "model.npz", "-o": ".."}, True)
    @example({"--target": "generic", "--model": "loop"}, False)
    def check(options: Options, as_json: bool) -> None:
        words = [*as_words(options), *(["--json"] if as_json else [])]
        told = [*options, *options.values(), "target", "blsh-"]
        done = check_refused_or_done(export, words, place, told)
        if done.exit_code == 0 and as_json:
            folder = Path(json.loads(done.stdout)["directory"])
            assert load_export(folder)[1].sha256 == json.loads(done.stdout)["model_sha256"]

    check()


@in_tiers
def test_manifests_of_any_content(tier: Tier, place: Path) -> None:
    """They are read by everything that takes a folder, and before a folder is replaced."""
    folder = place / "out"
    export_model(MODEL, find_target("generic"), folder)
    good = json.loads((folder / MANIFEST).read_text())
    others = json_values.map(json.dumps) | st.text(max_size=20) | st.just("[" * 9000)

    @tier(30)
    @given(st.dictionaries(st.sampled_from(list(good)), json_values), st.none() | others)
    @example({"flash_bytes": float("inf")}, None)
    @example({"files": [[]]}, None)
    @example({"prefix": "*"}, None)
    @example({"target": ""}, None)
    def check(changes: dict[str, Any], whole: str | None) -> None:
        text = json.dumps({**good, **changes}) if whole is None else whole
        (folder / MANIFEST).write_text(text, encoding="utf-8", errors="surrogatepass")
        for read in (load_export, runtime_sources):
            try:
                read(folder)
            except BlshError as error:
                assert error.message.startswith(f"{folder}: ")
                assert error.message.isprintable()
        before = contents(folder)
        try:
            export_model(MODEL, find_target("generic"), folder)
        except BlshError as error:
            assert error.message.startswith(f"{folder}: ")
            assert contents(folder) == before

    check()


# --- blsh-verify, blsh-bench --------------------------------------------------------------------


@in_tiers
def test_verify(tier: Tier, place: Path) -> None:
    export_model(MODEL, find_target("generic"), place / "good")
    (place / "good" / "blsh_model.npz").write_bytes(b"damaged")

    @tier(80)
    @given(st.one_of(NAMES, st.just("good")), TEXT)
    @example("good", "8")
    @example("good", "1" + "0" * 30)
    @example("loop", "8")
    def check(directory: str, frames: str) -> None:
        told = ["--frames", directory]
        done = check_refused_or_done(verify, [f"--frames={frames}", "--", directory], place, told)
        assert done.exit_code == 2

    check()


@in_tiers
def test_bench(tier: Tier, place: Path) -> None:
    """On what cannot be emulated anywhere, so that nothing is ever compiled."""
    optional = {"--compiler": TEXT, "--optimise": TEXT, "--seconds": TEXT, "--model": NAMES}

    @tier(80)
    @given(st.one_of(st.sampled_from(["generic", "esp32"]), TEXT),
           st.fixed_dictionaries({}, optional=optional))  # fmt: skip
    def check(target: str, options: Options) -> None:
        if target in TARGETS and TARGETS[target].emulated:
            return
        options = {"--target": target, "--model": "model.npz", **options}
        told = [*options, *options.values(), "target"]
        done = check_refused_or_done(bench, as_words(options), place, told)
        assert done.exit_code == 2

    check()


# --- blsh-denoise -------------------------------------------------------------------------------


@in_tiers
def test_denoise(tier: Tier, place: Path) -> None:
    @tier(80)
    @given(NAMES | st.just("in.wav"), NAMES, st.just("model.npz") | NAMES, st.booleans())
    @example("in.wav", "\udcff.wav", "model.npz", False)
    @example("in.wav", "in.wav", "model.npz", False)
    @example("\udcff.wav", "out.wav", "model.npz", False)
    @example("-", "-", "model.npz", False)
    def check(source: str, destination: str, model: str, as_json: bool) -> None:
        words = [f"--model={model}", *(["--json"] if as_json else []), "--", source, destination]
        told = [source, destination, model, "--json", "IN", "OUT"]
        check_refused_or_done(denoise, words, place, told)

    check()


# --- blsh-train ---------------------------------------------------------------------------------

PAPER_OPTIONS = ("projections", "dictionary", "neighbours", "method", "distance", "aim", "features",
                 "mels", "frame", "hop", "rate", "snr", "minutes", "seed")  # fmt: skip
OTHER_OPTIONS = ("preset", "flash", "ram", "mips", "target", "steps", "resume")
SOUND_VALUES = {
    "method": ("blsh", "lsh"), "distance": ("squared", "cross-entropy"), "aim": ("raw", "scaled"),
    "features": ("stft", "mel"), "frame": ("256", "4096"), "hop": ("64",), "rate": ("8000",),
    "dictionary": ("1%", "20"), "flash": ("64K",), "ram": ("16K", "1e999", "-1M"), "mips": ("8",),
    "preset": tuple(PRESETS), "target": ("cortex-m4",), "resume": ("model.npz", "loop", "in.wav"),
}  # fmt: skip


def train_options(names: Sequence[str]) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(
        {},
        optional={
            f"--{name}": st.one_of(st.sampled_from(SOUND_VALUES.get(name, ("3",))), TEXT)
            for name in names
        },
    )


@in_tiers
@pytest.mark.parametrize("kind", ["paper", "preset", "fit", "any"])
def test_train(tier: Tier, kind: str, place: Path) -> None:
    """Its noise is damaged, which shows when all options are read: nothing is ever learned."""
    names = {
        "paper": PAPER_OPTIONS,
        "preset": ("rate", "minutes", "seed", "steps", "target"),
        "fit": ("rate", "minutes", "seed", "steps", "target", "flash", "ram", "mips"),
        "any": (*PAPER_OPTIONS, *OTHER_OPTIONS),
    }[kind]
    fixed = {
        "preset": {"--preset": "tiny"},
        "fit": {"--flash": "64K", "--ram": "16K", "--mips": "8"},
    }.get(kind, {})
    flags = ["--fit"] if kind == "fit" else []

    @tier(60)
    @given(train_options(names), st.just("new.npz") | NAMES)
    @example({"--rate": "1" + "0" * 400}, "new.npz")
    @example({"--rate": "-5"}, "new.npz")
    @example({"--minutes": "nan"}, "new.npz")
    @example({"--snr": "nan"}, "new.npz")
    @example({"--seed": "1" + "0" * 40}, "new.npz")
    @example({"--mels": "1" + "0" * 9, "--features": "mel"}, "new.npz")
    def check(options: Options, output: str) -> None:
        words = ["--speech=speech", "--noise=noise", f"--output={output}", *flags]
        words += as_words({**fixed, **options})
        told = [*options, *options.values(), "cut.wav", "-o",
                "--preset", "--fit", "--frame", "--hop", "--noise", "--speech"]  # fmt: skip
        done = check_refused_or_done(train, words, place, told)
        assert done.exit_code == 2

    check()


@in_tiers
def test_resuming_from_any_record(tier: Tier, place: Path) -> None:
    """A model's record of its training, and the trials of a search, are files like any other."""
    names = st.sampled_from(["projections", "dictionary", "rate", "snr", "minutes", "method"])
    records = st.one_of(json_values, st.dictionaries(names, json_values))

    @tier(40)
    @given(records, st.dictionaries(st.sampled_from(["boosting", "epsilon"]), json_values))
    def check(options: Any, rest: dict[str, Any]) -> None:
        text = json.dumps({"options": options, **rest})
        try:
            training = parse_object(text.encode())
        except ValueError:
            return
        save_model(replace(MODEL, training=training), place / "model.npz")
        words = ["--speech=speech", "--noise=noise", "--output=new.npz", "--resume=model.npz"]
        done = check_refused_or_done(train, words, place, ["model.npz", "--"])
        assert done.exit_code == 2
        (place / "new.fit.json").write_text(json.dumps({"trials": [options, rest]}))
        with pytest.raises(BlshError, match="not what blsh-train --fit writes"):
            load_trials(place / "new.npz")

    check()


# --- Numbers that are none ----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (bench, ["--target=cortex-m4", "--seconds={}"]),
        (train, ["--speech=speech", "--noise=noise", "-onew.npz", "--minutes={}"]),
        (train, ["--speech=speech", "--noise=noise", "-onew.npz", "--snr={}"]),
        (train, ["--speech=speech", "--noise=noise", "-onew.npz", "--preset=tiny", "--minutes={}"]),
        (train, ["--speech=speech", "--noise=noise", "-onew.npz", "--fit", "--flash=64K",
                 "--ram=16K", "--mips={}"]),
        (train, ["--speech=speech", "--noise=noise", "-onew.npz", "--fit", "--flash={}",
                 "--ram=16K", "--mips=8"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_number_that_is_none_is_named(
    command: click.Command, words: Sequence[str], value: str, place: Path
) -> None:
    option = next(word for word in words if "{}" in word).split("=")[0]
    done = check_refused_or_done(command, [word.format(value) for word in words], place, [option])
    assert done.exit_code == 2
