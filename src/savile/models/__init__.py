"""What answers: one file is one family of models.

A family loads a saved form (`load`) and answers texts with it (`predict`). Families that `trains = "loop"` wrap a torch
network and learn in the one training loop, public as `savile.models.fit`; families that `trains = "own"` bring `fit` themselves
(linear models, trees). Whatever the family, the form and the engine, answers come from one place: `Predictor`, which masks,
tokenises, runs, calibrates and abstains. To add a family, add a file with these functions; `savile.testing.check_family` holds
it against the contract. `_bases` finds base models on this machine; `_calibrate` holds the temperature and the threshold.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Read when torch loads. Threads that wait by spinning fight with whatever else runs here: on two cores that other work
# kept busy, a pass over 500 texts took 3.2 s with spinning threads and 1.2 s with sleeping ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub loads

if TYPE_CHECKING:
    from savile.models._fit import fit
    from savile.models._predict import Predictor
    from savile.models._settings import FitSettings
    from savile.models._writer import Writer

__all__ = ["FitSettings", "Predictor", "Writer", "fit"]


def __getattr__(name: str) -> Any:
    # torch costs two seconds to import; `Predictor` alone must not pay for it
    if name == "fit":
        from savile.models._fit import fit

        return fit
    if name == "FitSettings":
        from savile.models._settings import FitSettings

        return FitSettings
    if name == "Predictor":
        from savile.models._predict import Predictor

        return Predictor
    if name == "Writer":
        from savile.models._writer import Writer

        return Writer
    raise AttributeError(name)
