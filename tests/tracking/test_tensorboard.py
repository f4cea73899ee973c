"""Event files as TensorBoard reads them: checksums of the standard, messages that its own definitions parse, one file a run."""

import struct
from pathlib import Path

import pytest

import savile
from savile.tracking import _event_file
from savile.tracking._event_file import Event, crc32c, records


def split(data):
    """The messages of an event file, checksums held against a table-free CRC."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        message = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(message)
        found.append(message)
        data = data[16 + length :]
    return found


def masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def parsed(messages):
    proto = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is not installed: nothing parses events")
    return [proto.Event.FromString(message) for message in messages]


def test_the_checksum_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes([255] * 32)) == 0x62A8AB43


def test_numbers_and_texts_are_read_by_tensorboards_own_definitions():
    events = [Event(0, "test/accuracy", 0.5), Event(300, "train/loss", 1e-3), Event(0, "recipe", "姓名\n" * 100)]
    head, *found = parsed(split(records(events)))
    assert head.file_version == _event_file.VERSION
    assert [(event.step, event.summary.value[0].tag) for event in found] == [(e.step, e.tag) for e in events]
    values = [event.summary.value[0] for event in found]
    assert [value.simple_value for value in values[:2]] == pytest.approx([0.5, 1e-3])
    assert values[2].tensor.string_val[0].decode() == "姓名\n" * 100
    assert values[2].metadata.plugin_data.plugin_name == "text"
    assert head.wall_time > 1.7e9


def test_a_report_becomes_one_event_file_with_its_figures(report):
    place = savile.track(report)["places"]["tensorboard"]
    (path,) = Path(place).iterdir()
    assert "tfevents" in path.name
    events = parsed(split(path.read_bytes()))[1:]
    numbers = {e.summary.value[0].tag: e.summary.value[0].simple_value for e in events if e.summary.value[0].simple_value}
    assert numbers["test/accuracy"] == pytest.approx(report.body["metrics"]["accuracy"]["value"])
    assert numbers["test/accuracy_low"] == pytest.approx(report.body["metrics"]["accuracy"]["low"])
    assert "baseline_linear/accuracy" in numbers
    texts = {e.summary.value[0].tag: e.summary.value[0].tensor.string_val for e in events}
    assert report.body["summary"][0] in texts["summary"][0].decode()
    assert report.ref in texts["records"][0].decode()


def test_telling_it_twice_leaves_one_file(report):
    first = savile.track(report)["places"]
    assert savile.track(report.ref)["places"] == first
    assert len(list(Path(first["tensorboard"]).iterdir())) == 1
