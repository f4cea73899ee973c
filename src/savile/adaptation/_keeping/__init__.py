"""Keep: learn the rows of a new stage without losing what was learnt before.

One file is one way. ``Settings`` is a frozen dataclass; ``memory`` among its fields asks for so many rows of earlier stages.
``begin(network, past, new, settings)`` gives the rows to learn from, and may leave an object on ``network.keeper`` whose
``begin_step(network, step, total)`` is told of a step, whose ``penalty(network)`` joins the loss, and whose ``after_step`` has
the last word on the weights. Once told by ``meet(texts, seed)`` what rows there are, its ``draw(step, batches)`` may put
others in a step's place; ``memory(network)`` gives the tensors that a checkpoint holds for ``remember(network, kept)``. What
learns in it learns with the network, and is let go of when training is over.
"""

from __future__ import annotations

from typing import Any, Protocol


class Keeper(Protocol):
    """The contract of a way.

    Attributes:
        Settings: frozen dataclass; ``memory`` among its fields asks for so many rows of earlier stages.

    Optional: ``FIT``, settings of the training loop that suit it.
    """

    Settings: type

    def begin(self, network: Any, past: Any, new: Any, settings: Any) -> Any:
        """The rows to learn from, texts and targets; what keeps may be left on ``network.keeper``."""
