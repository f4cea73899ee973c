"""Joint models: a label that only text and picture together tell, what is read of files, and what is refused."""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pytest

from savile import testing
from savile._made_up import picture, recording
from savile.base import media
from savile.base.contracts import Rows
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Model
from savile.models import joint
from savile.models._senses import _png, audio, image

COLOURS = {"red": (220, 40, 30), "green": (30, 180, 60), "blue": (40, 70, 220)}
NOTES = {"low": 300.0, "high": 1_500.0}
QUICK = joint.Settings(least_steps=150, learning_rate=3e-3, batch_rows=16, epochs=1)


def square(colour, rng):
    """A picture of noise with a square of a colour somewhere."""
    pixels = rng.integers(90, 160, (24, 24, 3))
    top, left = rng.integers(0, 14, 2)
    pixels[top : top + 10, left : left + 10] = COLOURS[colour]
    return media.packed(picture(pixels.astype(np.uint8)), "image")


def tone(note, rng):
    at = np.arange(8_000) / 16_000
    return media.packed(recording(0.5 * np.sin(2 * np.pi * NOTES[note] * at) + 0.05 * rng.normal(size=8_000)), "audio")


def rows(count, seed=0):
    """Whether the picture shows what was ordered, and one of eight sizes that has nothing to do with it."""
    rng, names = np.random.default_rng(seed), sorted(COLOURS)
    ordered, came = (rng.integers(0, 3, count) for _ in range(2))
    came = np.where(rng.random(count) < 0.3, ordered, came)
    texts = [f"please i ordered the {names[one]} one {rng.choice(['today', 'late', 'again'])}" for one in ordered]
    table = pa.table(
        {"said": texts, "photo": [square(names[one], rng) for one in came], "size": rng.integers(0, 8, count).tolist()}
    )
    return Rows(table, (ordered == came).astype(np.int64), ("no", "yes"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    texts = [f"please i ordered the {name} one today late again" for name in COLOURS]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("tiny"), texts))


@pytest.mark.slow
@pytest.mark.parametrize("fusing", ["late", "gated", "cross"])
def test_what_only_both_can_tell_is_learned_and_kept(fusing, base, tmp_path):
    data, asked = rows(240), rows(90, seed=1)
    made = joint.fit(data, "classify", dataclasses.replace(QUICK, base=base, fusing=fusing, least_steps=400))
    logits = joint.predict(made, asked.inputs)
    assert (logits.argmax(1) == asked.targets).mean() > 0.85
    files = {}
    for name, content in joint.save(made).items():
        files[name] = tmp_path / name
        files[name].write_bytes(content)
    again = joint.load(Model("joint", data.labels, forms={joint.FORM: files}))
    assert np.allclose(joint.predict(again, asked.inputs), logits, atol=1e-5)
    said = joint.contributions(again, asked.inputs.slice(0, 8))
    assert np.allclose(np.stack(said.weights).sum(1) + said.base, logits[:8], atol=1e-4)
    assert set(said.names[0]) == {"said", "photo", "size"}
    assert "base64" not in said.values[0][1]


@pytest.mark.slow
def test_recordings_and_columns_are_heard_together(base):
    rng, names = np.random.default_rng(0), sorted(NOTES)
    note, side = (rng.integers(0, 2, 160) for _ in range(2))
    table = pa.table({"call": [tone(names[one], rng) for one in note], "side": [("left", "right")[one] for one in side]})
    data = Rows(table, np.asarray(note ^ side, dtype=np.int64), ("no", "yes"))
    made = joint.fit(data, "classify", dataclasses.replace(QUICK, base=base))
    assert made.plan.text == ""
    assert (joint.predict(made, table).argmax(1) == data.targets).mean() > 0.9


def test_an_empty_cell_is_a_row_without_a_picture_and_other_things_are_refused(base):
    data = rows(20)
    made = joint.fit(data, "classify", dataclasses.replace(QUICK, base=base, least_steps=1, epochs=0.1))
    blank = data.inputs.set_column(1, "photo", pa.array([None] * 20, pa.string()))
    assert np.isfinite(joint.predict(made, blank)).all()
    for cell, reason in (
        ("/etc/passwd", "a path is never opened"),
        ("data:image/png;base64,AAA", "base64"),
        ("x", "data:image"),
    ):
        wrong = [*data.inputs.column("photo").to_pylist()[:19], cell]
        with pytest.raises(InputError, match=reason) as error:
            joint.predict(made, data.inputs.set_column(1, "photo", pa.array(wrong)))
        assert "row 20 of 'photo'" in str(error.value)
    with pytest.raises(UnknownNameError, match="fusing"):
        joint.fit(data, "classify", dataclasses.replace(QUICK, base=base, fusing="early"))
    with pytest.raises(UnknownNameError, match="photo"):
        joint.fit(data, "classify", dataclasses.replace(QUICK, base=base, without=("foto",)))
    with pytest.raises(InputError, match="a task about rows"):
        joint.fit(data, "tag", QUICK)


@pytest.mark.parametrize("how", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_files_are_read_as_they_were_drawn(how, channels):
    """Each filter of the format, undone from its definition (PNG specification, section 9)."""
    import struct
    import zlib

    rng = np.random.default_rng(how)
    pixels = rng.integers(0, 256, (7, 5, channels)).astype(np.int64)
    wide = np.pad(pixels, ((1, 0), (1, 0), (0, 0)))
    left, above, corner = wide[1:, :-1], wide[:-1, 1:], wide[:-1, :-1]
    guess = left + above - corner
    far = [np.abs(guess - one) for one in (left, above, corner)]
    paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner))
    guessed = [0 * pixels, left, above, (left + above) // 2, paeth][how]
    lines = ((pixels - guessed) % 256).astype(np.uint8).reshape(7, -1)
    body = zlib.compress(np.concatenate([np.full((7, 1), how, np.uint8), lines], axis=1).tobytes())
    head = struct.pack(">IIBBBBB", 5, 7, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in ((b"IHDR", head), (b"IDAT", body))
    ]
    found = _png.read(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert (found == np.repeat(pixels, 3, axis=2)[..., :3] if channels == 1 else found == pixels[..., :3]).all()


def test_damaged_files_are_refused():
    whole = picture(np.zeros((8, 8, 3), np.uint8))
    for content in (whole[:40], whole[:45] + b"x" + whole[46:], b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InputError, match="damaged"):
            image.read(content)
    sound = recording(np.zeros(100))
    for content in (sound[:20], recording(np.zeros(0)), b"RIFF0000WAVE"):
        with pytest.raises(InputError, match="recording"):
            audio.read(content)
    with pytest.raises(InputError, match="2 MB"):
        media.packed(b"\x89PNG\r\n\x1a\n" + bytes(media.MOST_BYTES), "image")
    with pytest.raises(InputError, match="something else"):
        media.packed(b"hello", "image")


def test_recordings_of_every_width_and_rate_sound_alike():
    import wave

    at = {rate: np.arange(rate) / rate for rate in (8_000, 16_000)}
    found = []
    for rate, width in ((16_000, 1), (16_000, 2), (16_000, 3), (16_000, 4), (8_000, 2)):
        samples = 0.5 * np.sin(2 * np.pi * 440 * at[rate])
        whole = (samples * (2.0 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
        raw = b"".join(int(one).to_bytes(width, "little", signed=width > 1) for one in whole for _ in range(2))
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setparams((2, width, rate, len(whole), "NONE", ""))
            file.writeframes(raw)
        found.append(audio.read(out.getvalue()))
        assert found[-1].shape == audio.SHAPE
    peaks = [int(one[:, 20:80].mean(1).argmax()) for one in found]
    assert len(set(peaks)) == 1
    assert np.abs(found[1] - found[3])[:, :80].mean() < 0.05
