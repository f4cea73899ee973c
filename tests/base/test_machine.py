"""Facts of this machine: JSON-able, true of the processor described, and right where there is no Linux list of processors."""

import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from savile.base import machine

THREAD = """processor\t: {number}
model name\t: Model X @ 2.0
physical id\t: 0
core id\t\t: {core}
flags\t\t: fpu amx_tile avx2 avx512_bf16

"""
TWO_CORES_FOUR_THREADS = "".join(THREAD.format(number=number, core=number % 2) for number in range(4))


@pytest.fixture
def listed(monkeypatch, tmp_path):
    def listing(text):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        monkeypatch.setattr(machine, "CPUINFO", path)

    return listing


def test_the_facts_are_json_and_name_what_runs():
    facts = json.loads(json.dumps(machine.facts()))
    assert facts["python"] == platform.python_version()
    assert facts["memory"] > 1 << 28
    assert facts["processor"]
    assert 1 <= facts["threads"] <= os.cpu_count()
    assert facts["packages"]["numpy"].count(".") == 2


def test_cores_and_flags_are_read_from_the_list_of_processors(listed):
    listed(TWO_CORES_FOUR_THREADS)
    assert machine.physical_cores() == 2
    assert machine.cpu_flags() == ("avx2", "avx512_bf16", "amx_tile")
    assert machine.processor() == "Model X @ 2.0"


def test_an_arm_processor_has_features_and_no_model_name(listed):
    listed("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert machine.cpu_flags() == ("asimd", "bf16")
    assert machine.physical_cores() == os.cpu_count()
    assert machine.processor()


def test_without_a_list_there_are_no_flags(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    assert machine.cpu_flags() == ()
    assert machine.physical_cores() == os.cpu_count()


def test_free_memory_is_what_the_kernel_the_container_and_the_process_leave(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable:    2000000 kB\n")
    monkeypatch.setattr(machine, "MEMINFO", meminfo)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.free_memory() == 2_000_000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert machine.free_memory() == 2_000_000 * 1024
    (tmp_path / "memory.max").write_text("50001000\n")
    assert machine.free_memory() == 50_000_000


def test_free_memory_knows_the_limit_of_the_process():
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
    code += "from savile.base import machine; print(machine.free_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 3 << 30


def test_memory_held_grows_with_what_is_held():
    before = machine.resident()
    held = bytearray(64 << 20)
    assert machine.resident() - before > 32 << 20
    assert machine.peak() >= machine.resident() - (8 << 20)
    del held


def test_cards_are_those_the_driver_shows(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "GPUS", tmp_path)
    assert machine.gpus() == []
    (tmp_path / "0000:01").mkdir()
    (tmp_path / "0000:01" / "information").write_text("Model: \t\t Card 9000\nIRQ: 7\n")
    assert machine.gpus() == ["Card 9000"]


def test_a_watch_sees_memory_that_is_gone_again_at_its_end():
    with machine.Watch() as watch:
        held = np.ones(64 << 17)  # 64 MiB
        time.sleep(0.05)
        del held
    assert 60e6 < watch.most < 90e6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says what is held")
def test_freed_memory_is_handed_back_though_a_block_above_it_is_held():
    held = [bytes(10_000) for _ in range(20_000)]  # below what is mapped apart: all in one heap
    before, top = machine.resident(), held[-1]
    del held
    machine.trim()
    assert machine.resident() < before - 100e6
    assert len(top) == 10_000
