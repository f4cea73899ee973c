"""Facts of this machine: JSON-able, true of the processor described, and right where there is no Linux list of processors."""

import json
import os
import platform

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
