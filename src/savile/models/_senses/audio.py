"""Recordings as log-mel spectrograms (40 bands, a frame every 10 ms) through a small network of convolutions; WAV files."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import InputError

if TYPE_CHECKING:
    from torch import nn

KIND = "audio"
RATE, WINDOW, HOP, BANDS, FRAMES = 16_000, 400, 160, 40, 400  # the first four seconds are heard
SHAPE = (BANDS, FRAMES)
QUIET = 1e-6


def read(content: bytes) -> np.ndarray:
    """The bytes of a WAV file -> log-mel energies about 0, float32 (40, 400).

    Raises:
        InputError: it is no recording that can be read.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            raw = file.readframes(file.getnframes())
        samples = _numbers(raw, width).reshape(-1, channels).mean(axis=1)
    except (wave.Error, EOFError, ValueError) as error:
        raise InputError("a recording as a WAV file of whole numbers (PCM)", f"{error}", "Convert it.") from None
    if not len(samples):
        raise InputError("a recording", "a WAV file without a sample", "Record it again.")
    return log_mel(_resampled(samples, rate))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] at 16 kHz -> log-mel energies, mean 0 and deviation 1 over what was heard, float32 (40, 400)."""
    from scipy.signal import stft

    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    _, _, found = stft(padded, RATE, "hann", WINDOW, WINDOW - HOP, boundary=None, padded=False)
    energy = np.log(_bands() @ np.abs(found[:, :FRAMES]) ** 2 + QUIET)
    energy = (energy - energy.mean()) / (energy.std() + 1e-6)
    return np.asarray(np.pad(energy, ((0, 0), (0, FRAMES - energy.shape[1]))), dtype=np.float32)


def network(width: int) -> nn.Module:
    """Energies (n, 40, 400) -> tokens (n, 50, width), one for each 80 ms."""
    from torch import nn

    from savile.models._senses._turned import Turned

    return nn.Sequential(
        nn.Conv1d(BANDS, 64, 5, stride=2, padding=2), nn.GroupNorm(4, 64), nn.GELU(),
        nn.Conv1d(64, 64, 5, stride=2, padding=2), nn.GroupNorm(4, 64), nn.GELU(),
        nn.Conv1d(64, width, 5, stride=2, padding=2), Turned(),
    )  # fmt: skip


def _numbers(raw: bytes, width: int) -> np.ndarray:
    """Samples of one to four bytes as numbers in [-1, 1]."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:
        parts = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
        return ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) >> 8) / 2.0**23
    return np.frombuffer(raw, f"<i{width}") / 2.0 ** (8 * width - 1)


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    from math import gcd

    from scipy.signal import resample_poly

    both = gcd(rate, RATE)
    return samples if rate == RATE else np.asarray(resample_poly(samples, RATE // both, rate // both))


def _bands() -> np.ndarray:
    """Triangles evenly spaced in mel (O'Shaughnessy 1987), (40, 201)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    places = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rise = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))
