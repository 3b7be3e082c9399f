"""Manifests for build systems that are not here: read by their own tools, else checked by rule."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from blsh_codegen.engines import runtime_sources
from blsh_codegen.packaging import PACKAGE_FILES, package_version
from blsh_codegen.targets import TARGETS
from blsh_trainer import __version__

from tests.codegen.folders import exported
from tests.models import general_model

MODEL = general_model()
SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(MODEL, tmp_path_factory.mktemp("export") / "blsh", "cortex-m4")


def sources(folder: Path) -> set[str]:
    return {path.name for path in runtime_sources(folder)}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_every_package_file_and_none_names_a_place_or_a_time(
    target: str, tmp_path: Path
) -> None:
    out = exported(MODEL, tmp_path / "out", target)
    for name in PACKAGE_FILES:
        text = (out / name).read_text()
        assert target in text or name.startswith(("zephyr/CM", "zephyr/K", "examples/")), name
        assert not re.search(r"/home/|/tmp|/usr/|20\d\d-\d\d|python", text, re.IGNORECASE), name
        assert "{{" not in text and "{%" not in text, name


def test_versions_are_the_tools_with_the_model_as_build_metadata(folder: Path) -> None:
    version = package_version(MODEL.sha256)
    assert version == f"{__version__}+{MODEL.sha256[:8]}"
    assert SEMANTIC_VERSION.fullmatch(version)
    for name in ("library.properties", "library.json", "idf_component.yml", "BLSH.Denoiser.pdsc"):
        assert version in (folder / name).read_text(), name


# --- Arduino: the library specification and the rules of arduino-lint, by hand --------------

ARDUINO_CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control"),
    *("Timing", "Data Storage", "Data Processing", "Other"),
}


def properties(folder: Path) -> dict[str, str]:
    lines = (folder / "library.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_arduino_properties_follow_the_library_specification(folder: Path) -> None:
    fields = properties(folder)
    assert list(fields) == [
        *("name", "version", "author", "maintainer", "sentence", "paragraph"),
        *("category", "url", "architectures", "includes"),
        "license",
    ]
    assert all(fields.values())
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,62}", fields["name"])
    assert "arduino" not in fields["name"].lower()
    assert SEMANTIC_VERSION.fullmatch(fields["version"])
    assert fields["category"] in ARDUINO_CATEGORIES
    assert re.match(r"https?://\w", fields["url"])
    assert not fields["paragraph"].startswith(fields["sentence"])
    assert (folder / fields["includes"]).is_file()


def test_arduino_compiles_the_runtime_and_nothing_else(folder: Path) -> None:
    """Without src/ it compiles the C and C++ of the root and of utility/, not of other folders."""
    assert not (folder / "src").exists()
    assert not (folder / "utility").exists()
    compiled = {p.name for p in folder.iterdir() if p.suffix in (".c", ".cpp", ".S", ".cc")}
    assert compiled == sources(folder)


def test_arduino_layout(folder: Path) -> None:
    """Sketches lie in folders of their names; nothing that its library manager refuses."""
    sketches = list(folder.rglob("*.ino"))
    assert sketches
    for sketch in sketches:
        assert sketch.parent.name == sketch.stem
        assert sketch.parents[1] == folder / "examples"
    assert (folder / "LICENSE").is_file()
    refused = {".exe", ".a", ".so", ".o", ".development"}
    assert not [p for p in folder.rglob("*") if p.suffix in refused or p.is_symlink()]
    names = [p.name.lower() for p in folder.rglob("*") if p.is_dir()]
    assert not {"example", "exemples", "tests."} & set(names)


# --- PlatformIO -----------------------------------------------------------------------------


def library_json(folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((folder / "library.json").read_text())
    return fields


def test_platformio_filter_takes_the_runtime_and_nothing_else(folder: Path) -> None:
    build = library_json(folder)["build"]
    assert build["srcDir"] == build["includeDir"] == "."
    nothing, first = build["srcFilter"]
    assert nothing == "-<*>"
    pattern = re.fullmatch(r"\+<(.*)>", first)
    assert pattern is not None
    assert {p.name for p in folder.glob(pattern[1])} == sources(folder)


def test_platformio_reads_the_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PlatformIO's own parser and schema."""
    pytest.importorskip("platformio", reason="platformio is not installed")
    from platformio.fs import match_src_files
    from platformio.package.manifest.parser import ManifestParserFactory
    from platformio.package.manifest.schema import ManifestSchema

    # The one check that would go to the network: that the licence is known to SPDX.
    known = lambda: {"licenses": [{"licenseId": "MIT-0"}]}  # noqa: E731
    monkeypatch.setattr(ManifestSchema, "load_spdx_licenses", staticmethod(known))
    parsed = ManifestParserFactory.new_from_file(str(folder / "library.json")).as_dict()
    manifest = ManifestSchema().load_manifest(parsed)
    assert manifest["version"] == package_version(MODEL.sha256)
    found = match_src_files(str(folder), parsed["build"]["srcFilter"], ["c", "cpp", "S"])
    assert {Path(name).name for name in found} == sources(folder)


# --- ESP-IDF --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["cortex-m4", "esp32", "esp32s3", "riscv32imc"])
def test_esp_idf_component_manager_reads_the_manifest(target: str, tmp_path: Path) -> None:
    """With the component manager's own model of it."""
    models = pytest.importorskip(
        "idf_component_tools.manifest.models", reason="idf-component-manager is not installed"
    )
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    out = exported(MODEL, tmp_path / "out", target)
    fields = yaml.safe_load((out / "idf_component.yml").read_text())
    manifest = models.Manifest.model_validate(fields)
    assert str(manifest.version) == package_version(MODEL.sha256)
    assert manifest.targets == ([target] if target.startswith("esp32") else [])
    assert list(manifest.dependencies) == ["idf"]


# --- Zephyr ---------------------------------------------------------------------------------


def test_zephyr_module_names_what_is_there(folder: Path) -> None:
    """Keys as scripts/zephyr_module.py of Zephyr defines them."""
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert set(module) == {"name", "build"}
    assert set(module["build"]) == {"cmake", "kconfig"}
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / module["build"]["kconfig"]).is_file()


def test_zephyr_kconfig(folder: Path) -> None:
    """With the Kconfig parser that Zephyr itself uses."""
    kconfiglib = pytest.importorskip("kconfiglib", reason="kconfiglib is not installed")
    config = kconfiglib.Kconfig(str(folder / "zephyr" / "Kconfig"), warn_to_stderr=False)
    assert not config.warnings
    assert set(config.syms) & {"BLSH", "BLSH_OPTIMISE_FOR_SPEED"} == {
        "BLSH",
        "BLSH_OPTIMISE_FOR_SPEED",
    }
    assert config.syms["BLSH_OPTIMISE_FOR_SPEED"].str_value == "n"
    config.syms["BLSH"].set_value(2)
    assert config.syms["BLSH_OPTIMISE_FOR_SPEED"].str_value == "y"


# --- CMSIS-Pack: the rules of PACK.xsd 1.7 for the elements that are used -------------------

PACK_CHILDREN = {
    "package": {
        *("vendor", "name", "description", "url", "license", "requirements", "releases"),
        *("keywords", "components"),
    },
    "requirements": {"languages"},
    "languages": {"language"},
    "releases": {"release"},
    "keywords": {"keyword"},
    "components": {"component"},
    "component": {"description", "RTE_Components_h", "files"},
    "files": {"file"},
}
PACK_ATTRIBUTES = {
    "package": ({"schemaVersion"}, {"noNamespaceSchemaLocation"}),
    "language": ({"name", "version"}, set()),
    "release": ({"version"}, {"date", "tag", "url"}),
    "component": ({"Cclass", "Cgroup", "Cversion"}, {"Csub", "Cvariant", "condition"}),
    "file": ({"category", "name"}, {"attr", "condition", "version"}),
}
PACK_FILE_CATEGORIES = {"doc", "header", "include", "library", "source", "linkerScript", "other"}
RELEASE_VERSION = r"[0-9]+\.[0-9]+\.[0-9]+(\-[0-9a-zA-Z.-]+)?(\+([0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*))?"


def pack(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / "BLSH.Denoiser.pdsc").getroot()


def local(name: str) -> str:
    return name.rsplit("}", 1)[-1]


def test_cmsis_pack_has_the_elements_and_attributes_of_the_schema(folder: Path) -> None:
    for element in pack(folder).iter():
        children = [local(child.tag) for child in element]
        assert set(children) <= PACK_CHILDREN.get(element.tag, set()), element.tag
        required, optional = PACK_ATTRIBUTES.get(element.tag, (set(), set()))
        given = {local(name) for name in element.attrib}
        assert required <= given <= required | optional, element.tag
    children = [child.tag for child in pack(folder)]
    assert len(children) == len(set(children)), "each section once (xs:all)"
    assert {"vendor", "name", "description", "url", "releases"} <= set(children)


def test_cmsis_pack_values_have_the_types_of_the_schema(folder: Path) -> None:
    root = pack(folder)
    assert re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", root.attrib["schemaVersion"])
    for name in ("vendor", "name"):
        assert re.fullmatch(r"[-_A-Za-z0-9]+", str(root.findtext(name)))
    (release,) = root.iter("release")
    assert re.fullmatch(RELEASE_VERSION, release.attrib["version"])
    (component,) = root.iter("component")
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", component.attrib["Cversion"])
    for name in ("Cclass", "Cgroup", "Csub"):
        assert 2 <= len(component.attrib[name]) <= 32
    assert (folder / str(root.findtext("license"))).is_file()


def test_cmsis_pack_lists_the_runtime_and_nothing_that_is_not_there(folder: Path) -> None:
    root = pack(folder)
    assert (folder / f"{root.findtext('vendor')}.{root.findtext('name')}.pdsc").is_file()
    files = [file.attrib for file in root.iter("file")]
    assert {file["name"] for file in files if file["category"] == "source"} == sources(folder)
    for file in files:
        assert file["category"] in PACK_FILE_CATEGORIES
        assert (folder / file["name"]).exists()
        assert file["name"].endswith("/") == (file["category"] == "include")


def test_cmsis_pack_manager_reads_the_pack(folder: Path, tmp_path: Path) -> None:
    """With the pack tool that pyOCD uses; the folder, zipped, is a pack."""
    manager = pytest.importorskip(
        "cmsis_pack_manager", reason="cmsis-pack-manager is not installed"
    )
    path = tmp_path / f"BLSH.Denoiser.{package_version(MODEL.sha256)}.pack"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    cache = manager.Cache(True, True, json_path=str(tmp_path), data_path=str(tmp_path))
    cache.add_pack_from_path(str(path))
