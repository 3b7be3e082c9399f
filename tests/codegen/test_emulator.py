"""Calling functions of an image under unicorn, and counting what they execute."""

from __future__ import annotations

import collections
import importlib
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from blsh_codegen.emulator import (
    EmulationError,
    EmulationUnavailableError,
    Emulator,
    emulation_unavailable_reason,
)
from blsh_codegen.targets import Target, find_target
from blsh_codegen.toolchain import build_firmware, firmware_unavailable_reason
from blsh_trainer.errors import BlshError

PROGRAM = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { int32_t words[40]; int16_t tail; } record_t;

static int32_t counter = 41;     /* .data */
static int32_t cleared[5];       /* .bss */
const int16_t table_q15[4] = {1, -2, 3, -32768};
uint8_t shared[16];

int32_t sum(const int32_t *values, uint32_t count)
{
    int32_t total = 0;
    for (uint32_t i = 0; i < count; ++i) { total += values[i]; }
    return total;
}
int64_t multiply(int32_t a, int32_t b) { return (int64_t)a * b; }
uint64_t divide(uint64_t a, uint64_t b) { return a / b; }
int32_t tick(void) { return ++counter + cleared[2]++; }
void copy_record(record_t *to, const record_t *from) { *to = *from; }
void copy(void *to, const void *from, size_t size) { memcpy(to, from, size); }
void move(void *to, const void *from, size_t size) { memmove(to, from, size); }
void fill(void *to, int value, size_t size) { memset(to, value, size); }
int compare(const void *a, const void *b, size_t size) { return memcmp(a, b, size); }
int32_t table_at(uint32_t i) { return table_q15[i]; }
int32_t ten(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e,
            int32_t f, int32_t g, int32_t h, int32_t i, int32_t j)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j;
}
int32_t clamp_all(int16_t *values, int32_t count)
{
    int32_t changed = 0;
    for (int32_t i = 0; i < count; ++i) {
        if (values[i] > 100) { values[i] = 100; ++changed; }
        else if (values[i] < -100) { values[i] = (int16_t)(values[i] / 3); changed += 2; }
    }
    return changed;
}
int32_t load(const volatile int32_t *where) { return *where; }
void store(volatile int32_t *where, int32_t value) { *where = value; }
void forever(void) { for (;;) { ++*(volatile int32_t *)&counter; } }
void nothing(void) { }
void abandon(void) { __builtin_trap(); } /* compilers put it into a section for cold code */
void jump(void (*where)(void)) { where(); ++counter; }

__attribute__((noinline)) uint32_t use_stack(uint32_t count)
{
    volatile uint8_t buffer[512];
    for (uint32_t i = 0; i < 512u; ++i) { buffer[i] = (uint8_t)(i + count); }
    return buffer[count];
}
/* The recursion is not a tail call, so that each level takes stack. */
__attribute__((noinline)) uint32_t recurse(uint32_t depth)
{
    volatile uint32_t kept = depth;
    return depth == 0u ? 0u : recurse(depth - 1u) + kept;
}

#if defined(__ARM_FEATURE_DSP)
int32_t smulwb(int32_t a, int32_t b)
{
    int32_t r;
    __asm__("smulwb %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
int32_t smlad(uint32_t a, uint32_t b, int32_t c)
{
    int32_t r;
    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}
#endif
"""

IMAGES = [
    (name, compiler)
    for name in ("cortex-m4", "cortex-m0plus", "riscv32imc")
    for compiler in ("zig", "gcc")
]


def unavailable(target: Target, compiler: Any) -> str | None:
    return emulation_unavailable_reason(target) or firmware_unavailable_reason(target, compiler)


@pytest.fixture(scope="module", params=IMAGES, ids=lambda one: "-".join(one))
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The program, built for each target with each compiler that is there."""
    name, compiler = request.param
    target = find_target(name)
    reason = unavailable(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(f"{name}-{compiler}")
    (folder / "program.c").write_text(PROGRAM, encoding="utf-8")
    elf = build_firmware(
        target, [folder / "program.c"], [], folder / "program.elf", compiler=compiler
    )
    return elf, target


@pytest.fixture
def emulator(image: Any) -> Emulator:
    return Emulator(*image)


def words(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def test_sum_of_an_array(emulator: Emulator) -> None:
    values = [7, -1000, 2_000_000, -5, 12]
    address = emulator.allocate(4 * len(values))
    emulator.write(address, words(values))
    assert emulator.call("sum", address, len(values)) == sum(values)
    assert emulator.call("sum", address, 0) == 0


@pytest.mark.parametrize(
    ("a", "b"), [(-3, 5), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (-(2**31), 1)]
)
def test_a_64_bit_result(emulator: Emulator, a: int, b: int) -> None:
    assert emulator.call("multiply", a, b, wide=True) == a * b


def test_64_bit_arguments_are_passed_as_two_words(emulator: Emulator) -> None:
    a, b = 0x0123_4567_89AB_CDEF, 0x1_0000_0007
    low_and_high = [a & 0xFFFFFFFF, a >> 32, b & 0xFFFFFFFF, b >> 32]
    assert emulator.call("divide", *low_and_high, wide=True) == a // b


def test_arguments_beyond_the_registers_go_on_the_stack(emulator: Emulator) -> None:
    arguments = [3, -1, 4, 1, -5, 9, 2, -6, 5, 3]
    expected = sum((i + 1) * value for i, value in enumerate(arguments))
    assert emulator.call("ten", *arguments) == expected


def test_data_is_initialised_and_bss_is_zero(emulator: Emulator) -> None:
    assert [emulator.call("tick") for _ in range(3)] == [42, 44, 46]
    emulator.reset_memory()
    assert emulator.call("tick") == 42


def test_constants_are_read_by_name_and_through_code(emulator: Emulator) -> None:
    assert struct.unpack("<4h", emulator.read("table_q15", 8)) == (1, -2, 3, -32768)
    assert emulator.symbol("table_q15").size == 8
    assert emulator.call("table_at", 3) == -32768
    emulator.write("shared", b"written by name!")
    assert emulator.read("shared", 16) == b"written by name!"


def test_struct_copy(emulator: Emulator) -> None:
    source, destination = emulator.allocate(164), emulator.allocate(164)
    content = bytes(range(164))
    emulator.write(source, content)
    emulator.call("copy_record", destination, source)
    assert emulator.read(destination, 162) == content[:162]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 32, 77])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_memory_functions(emulator: Emulator, size: int, shift: int) -> None:
    base = emulator.allocate(256)
    content = bytes((7 * i + 1) & 255 for i in range(256))

    emulator.write(base, content)
    emulator.call("copy", base + 128 + shift, base, size)
    expected = bytearray(content)
    expected[128 + shift : 128 + shift + size] = content[:size]
    assert emulator.read(base, 256) == expected
    assert emulator.call("compare", base + 128 + shift, base, size) == 0
    if size:
        emulator.write(base + size - 1, bytes([content[size - 1] ^ 1]))
        assert emulator.call("compare", base + 128 + shift, base, size) != 0

    for to, source in ((shift + 5, 4), (4, shift + 5)):
        emulator.write(base, content)
        emulator.call("move", base + to, base + source, size)
        expected = bytearray(content)
        expected[to : to + size] = content[source : source + size]
        assert emulator.read(base, 256) == expected

    emulator.write(base, content)
    emulator.call("fill", base + shift, 0x1A5, size)
    expected = bytearray(content)
    expected[shift : shift + size] = b"\xa5" * size
    assert emulator.read(base, 256) == expected


def test_dsp_instructions(emulator: Emulator) -> None:
    if emulator.target.name != "cortex-m4":
        assert "smlad" not in emulator.image.symbols
        return
    # SMULWB: (a * low half of b) >> 16, floor.
    assert emulator.call("smulwb", -123_456_789, 0x7FFF_8001) == (-123_456_789 * -32767) >> 16
    # SMLAD: both signed halves multiplied and added.
    halves_a, halves_b = struct.pack("<2h", -300, 20_000), struct.pack("<2h", 1234, -5)
    a, b = (int.from_bytes(halves, "little") for halves in (halves_a, halves_b))
    assert emulator.call("smlad", a, b, 17) == -300 * 1234 + 20_000 * -5 + 17


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("load", 0x40000000), r"load on .*: read of unmapped memory 0x40000000 \(4 bytes\)"),
        (("store", 0x40000000, 1), "write to unmapped memory 0x40000000"),
        (("jump", 0x30000001), r"jump to unmapped memory 0x3000000[01]"),
    ],
)
def test_a_fault_names_the_access_and_the_place(
    emulator: Emulator, call: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(EmulationError, match=told) as caught:
        emulator.call(*call)
    if call[0] != "jump":
        assert f"({call[0]}+0x" in caught.value.message
    assert emulator.call("multiply", 6, 7) == 42  # still usable


def test_flash_cannot_be_written_and_data_not_executed(emulator: Emulator) -> None:
    with pytest.raises(EmulationError, match="write to flash"):
        emulator.call("store", emulator.symbol("table_q15").address, 1)
    with pytest.raises(EmulationError, match="jump to data"):
        emulator.call("jump", emulator.allocate(16) | (1 if emulator.image.is_thumb else 0))


def test_an_invalid_instruction_is_a_fault(emulator: Emulator) -> None:
    with pytest.raises(EmulationError, match="abandon on"):
        emulator.call("abandon")


def test_unaligned_access_is_found_when_asked_for(image: Any) -> None:
    lenient, strict = Emulator(*image), Emulator(*image, check_alignment=True)
    assert lenient.call("load", lenient.allocate(8) + 1) == 0
    if strict.target.name != "cortex-m4":  # whose memcpy makes use of unaligned loads
        exercise(strict)
    address = strict.allocate(8) + 1
    with pytest.raises(EmulationError, match=rf"unaligned access to 0x{address:08x} \(4 bytes\)"):
        strict.call("load", address)
    assert strict.call("load", address + 3) == 0


def test_an_endless_loop_meets_the_instruction_budget(emulator: Emulator) -> None:
    emulator.reset_profile()
    with pytest.raises(EmulationError, match=r"forever .*not finished after 100000 inst.*forever"):
        emulator.call("forever", max_instructions=100_000)
    assert 100_000 <= emulator.total_instructions() <= 201_000


def test_an_endless_loop_meets_the_time_limit(emulator: Emulator) -> None:
    with pytest.raises(EmulationError, match=r"not finished after 0\.05 s"):
        emulator.call("forever", timeout_s=0.05)
    assert emulator.call("multiply", 6, 7) == 42


def test_stack_use_is_measured(emulator: Emulator) -> None:
    emulator.call("nothing")
    assert emulator.stack_used_bytes == 0
    emulator.call("use_stack", 3)
    assert 512 <= emulator.stack_used_bytes <= 512 + 64
    emulator.call("recurse", 10)
    ten = emulator.stack_used_bytes
    emulator.call("recurse", 20)
    twenty = emulator.stack_used_bytes
    emulator.call("recurse", 40)
    assert emulator.stack_used_bytes - twenty == 2 * (twenty - ten) > 0
    assert emulator.stack_peak_bytes == max(emulator.stack_used_bytes, 512)


def test_a_stack_overflow_is_called_so(image: Any) -> None:
    emulator = Emulator(*image, stack_bytes=4096)
    with pytest.raises(EmulationError, match="stack of 4096 bytes overflowed"):
        emulator.call("recurse", 10_000)


def test_an_unknown_symbol_is_named(emulator: Emulator) -> None:
    with pytest.raises(BlshError, match="no symbol 'no_such_function'"):
        emulator.call("no_such_function")


def exercise(emulator: Emulator) -> None:
    values = emulator.allocate(400)
    emulator.write(values, struct.pack("<200h", *((997 * i) % 700 - 350 for i in range(200))))
    emulator.call("clamp_all", values, 200)
    emulator.call("copy", values + 129, values, 77)
    emulator.call("divide", 0x89ABCDEF, 0x01234567, 0x12345, 0, wide=True)


def conditional_instructions(emulator: Emulator) -> set[int]:
    """Addresses of the executed Thumb instructions that an IT instruction makes conditional."""
    found: set[int] = set()
    if not emulator.image.is_thumb:
        return found
    addresses = sorted(emulator.instruction_counts())
    for index, address in enumerate(addresses):
        (halfword,) = struct.unpack("<H", emulator.read(address, 2))
        mask = halfword & 15
        if halfword >> 8 == 0xBF and mask:
            length = 4 - ((mask & -mask).bit_length() - 1)
            found.update(addresses[index + 1 : index + 1 + length])
    return found


def test_counts_equal_those_of_a_hook_on_every_instruction(image: Any) -> None:
    """The block arithmetic against unicorn's own instruction hook, instruction by instruction.

    That hook does not see an instruction that IT skips; here it counts, since it takes a cycle.
    """
    by_blocks, by_instructions = Emulator(*image), Emulator(*image)
    seen: collections.Counter[int] = collections.Counter()
    unicorn: Any = importlib.import_module("unicorn")
    by_instructions._uc.hook_add(
        unicorn.UC_HOOK_CODE, lambda engine, address, size, _: seen.update([address])
    )
    exercise(by_instructions)
    exercise(by_blocks)
    counts = by_blocks.instruction_counts()
    conditional = conditional_instructions(by_blocks)
    assert len(seen) > 60
    assert len(conditional) < len(seen) / 4
    assert {a: n for a, n in counts.items() if a not in conditional} == {
        a: n for a, n in seen.items() if a not in conditional
    }
    assert all(counts[address] >= seen[address] for address in conditional)
    assert by_blocks.total_instructions() == sum(counts.values())


def test_the_profile_is_the_total_split_by_function(emulator: Emulator) -> None:
    exercise(emulator)
    profile = emulator.profile()
    assert sum(profile.values()) == emulator.total_instructions()
    assert list(profile.values()) == sorted(profile.values(), reverse=True)
    assert profile["clamp_all"] > 200 * 4
    # The runtime library has several names for one function; the plain one is shown.
    assert "memcpy" in profile
    emulator.reset_profile()
    assert emulator.profile() == {}
    assert emulator.total_instructions() == 0


def test_counts_are_repeatable_and_independent_of_the_hook(image: Any) -> None:
    profiles = []
    for native in (None, None, False):
        emulator = Emulator(*image, native_counter=native)
        exercise(emulator)
        first = emulator.profile()
        emulator.reset_profile()
        emulator.reset_memory()
        exercise(emulator)
        assert emulator.profile() == first
        profiles.append(first)
    assert profiles[0] == profiles[1] == profiles[2]


def test_the_python_hook_keeps_the_instruction_budget(image: Any) -> None:
    emulator = Emulator(*image, native_counter=False)
    assert not emulator.counts_natively
    with pytest.raises(EmulationError, match="not finished after 1000 instructions"):
        emulator.call("forever", max_instructions=1000)


def test_a_known_instruction_count(emulator: Emulator) -> None:
    """An empty function is its return instruction."""
    emulator.call("nothing")
    assert emulator.profile() == {"nothing": 1}


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = find_target("cortex-m4")
    monkeypatch.setitem(sys.modules, "unicorn", None)
    assert emulation_unavailable_reason(target) == (
        "unicorn is not installed: pip install 'blsh[emulation]'"
    )
    with pytest.raises(EmulationUnavailableError, match="cannot emulate cortex-m4: unicorn is not"):
        Emulator(tmp_path / "a.elf", target)


def test_the_generic_target_has_no_emulator() -> None:
    assert emulation_unavailable_reason(find_target("generic")) == (
        "target generic has no emulator"
    )


@pytest.mark.parametrize("content", [None, b"not an ELF file", b"\x7fELF\x01\x01"])
def test_a_file_that_is_no_image_is_refused(content: bytes | None, tmp_path: Path) -> None:
    target = find_target("cortex-m4")
    if emulation_unavailable_reason(target) is not None:
        pytest.skip(str(emulation_unavailable_reason(target)))
    path = tmp_path / "image.elf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlshError, match=r"image\.elf: (cannot be read|not an ELF image)"):
        Emulator(path, target)
