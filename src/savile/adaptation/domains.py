"""Domains: an adapter for each domain, and a router that says which of them a text belongs to, served as one.

The frozen base embeds a text; the nearest of the labels' centres, in a space where the rows of one label are round (a linear
discriminant, Fisher 1936), names the domain, whose adapter then answers. A text that is far from every centre hears no adapter:
the base answers it. No domain's answers to its own texts move when another one is added or learns on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation import _experts, _folds, _library, _merging, lora
from savile.adaptation._experts import Plan
from savile.adaptation._keeping._past import batches, pooled
from savile.adaptation._merging import How
from savile.adaptation._places import learning
from savile.base.contracts import Rows
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The domains.

    Attributes:
        adapters: models or releases of the method ``lora`` on the same base, one a domain.
        known: share of the texts of the domains that the router takes for theirs; what lies farther out is left to the base.
        groups: places of adapters that share one, as ``[[0, 2], [1]]``; empty leaves each its own.
        ranks: of the adapter of each group; empty leaves them as they are.
        how: those of a group are made one, see `savile.adaptation._merging.merged`.
        plan: names, ranks, layers and centres, and the adapter of each stage of the data; written here by what makes them.
    """

    adapters: tuple[str, ...] = ()
    known: float = 0.99
    groups: tuple[tuple[int, ...], ...] = ()
    ranks: tuple[int, ...] = ()
    how: How = "linear"
    plan: dict[str, Any] = field(default_factory=dict)


HEAD: Literal["cosine", "linear"] = "linear"
KEEPS = False  # what is heard has learned something
FIT: dict[str, Any] = dict(lora.FIT)  # of an adapter that learns on; a head alone is solved
FIT_SMALL: dict[str, Any] = dict(lora.FIT_SMALL)
ROUTER = "router"
SHRINKS = (0.9, 0.5, 0.1)  # of the covariance towards a round one: strangers are told best where much is taken off,
SPARE = 0.005  # as long as no more than this share of the texts is taken for another domain's for it


class Router(nn.Module):
    """Embeddings of the base (n, d) -> which expert is heard, (n, E), a one or nothing but zeros.

    Attributes:
        round: what makes the rows of one label round, (d, d).
        centres: of each label in that space, (K, d).
        owner: the expert of each centre, (K, E).
        limit: the squared distance beyond which a text belongs nowhere.
    """

    def __init__(self, width: int, centres: int, experts: int) -> None:
        super().__init__()
        self.round = nn.Parameter(torch.zeros(width, width))
        self.centres = nn.Parameter(torch.zeros(centres, width))
        self.owner = nn.Parameter(torch.zeros(centres, experts))
        self.limit = nn.Parameter(torch.zeros(()))

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """(n, d) -> (n, E)."""
        if not len(self.centres):  # nobody has been fitted yet
            return pooled.new_zeros(len(pooled), self.owner.shape[1], dtype=torch.float32)
        with torch.autocast(pooled.device.type, enabled=False):
            distance = self.distances(F.normalize(pooled.float(), dim=-1))
            near = (distance.amin(-1, keepdim=True) <= self.limit).float()
            return self.owner[distance.argmin(-1)] * near

    def distances(self, unit: torch.Tensor) -> torch.Tensor:
        """Unit embeddings (n, d) -> squared distances from the centres (n, K)."""
        at = unit @ self.round
        return at.square().sum(-1, keepdim=True) - 2 * at @ self.centres.T + self.centres.square().sum(-1)

    def learn(self, unit: torch.Tensor, targets: np.ndarray, owner: np.ndarray, known: float) -> None:
        """Fit to rows of every domain.

        Args:
            unit: embeddings of the base, of unit length, (n, d).
            targets: label of each, int64 (n,).
            owner: expert of each, int64 (n,).
            known: share of unseen rows that lie within the limit.
        """
        fold, tried = _folds.assign(targets, np.arange(len(targets)), 0), dict[float, tuple[float, torch.Tensor]]()
        for shrink in SHRINKS:
            distance, found = torch.empty(len(targets)), np.empty(len(targets), dtype=np.int64)
            for number in range(int(fold.max()) + 1):  # a limit from rows that the centres were made of is too near
                seen = fold != number
                self._place(unit[seen], targets[seen], owner[seen], shrink)
                away = self.distances(unit[~seen])
                distance[~seen], found[~seen] = away.amin(-1), self.owner[away.argmin(-1)].argmax(-1).numpy()
            tried[shrink] = float((found == owner).mean()), distance
        best = max(right for right, _ in tried.values())
        shrink = next(shrink for shrink in SHRINKS if tried[shrink][0] >= best - SPARE)
        rank = min(1.0, known * (len(unit) + 1) / len(unit))  # of split conformal prediction (Lei et al. 2018)
        self.limit.data = torch.quantile(tried[shrink][1], rank, interpolation="higher")
        self._place(unit, targets, owner, shrink)

    def _place(self, unit: torch.Tensor, targets: np.ndarray, owner: np.ndarray, shrink: float) -> None:
        pairs, number = np.unique(np.stack([targets, owner]), axis=1, return_inverse=True)
        which = torch.from_numpy(number.reshape(-1))
        one_hot = F.one_hot(which, pairs.shape[1]).to(unit.dtype)
        means = (one_hot.T @ unit) / one_hot.sum(0).unsqueeze(1)
        off = unit - means[which]
        spread = off.T @ off / max(1, len(unit) - len(means))
        spread = (1 - shrink) * spread + shrink * spread.diagonal().mean() * torch.eye(len(spread))
        values, vectors = torch.linalg.eigh(spread)
        experts = self.owner.shape[1]
        self.round.data = vectors * values.clamp(min=1e-12).rsqrt()
        self.centres.data = means @ self.round.data
        self.owner.data = F.one_hot(torch.from_numpy(pairs[1].copy()), experts).float()


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, put the adapter of every domain beside its layers and a router before them; the head learns.

    Raises:
        InputError: less than two adapters, one that does not fit this base, groups that leave one out, or a base whose texts
            are not read one a row.
    """
    plan, updates = dict(settings.plan), []
    if not plan:
        members = _library.read(settings.adapters, network.base)
        groups = _groups(settings, len(members))
        updates = shared(members, groups, settings.ranks, settings.how)
        names = ["+".join(members[place].name for place in group) for group in groups]
        of_stage = [number for place in range(len(members)) for number, group in enumerate(groups) if place in group]
        plan = {**asdict(Plan.of(_apart(names), updates)), "centres": 0, "stages": of_stage}
    hang(network, plan)
    _experts.fill(network, updates)
    network.method_settings = {**asdict(settings), "plan": plan}


def hang(network: TextEncoder, plan: dict[str, Any]) -> None:
    """Put experts and a router, all zero for now, into a network, and hold them.

    Raises:
        InputError: a base whose texts are not read one a row.
    """
    alike = hasattr(network.trunk, "config") and not hasattr(network, "speaks") and not network.pairs
    if not alike or network.loss == "token_cross_entropy":
        received = f"{network.base.name}, {'in pairs' if getattr(network, 'pairs', False) else network.loss}"
        raise InputError("an encoder that gives one answer to one text, for a router", received, "Use arrow or merge here.")
    made = Plan(plan["names"], plan["ranks"], plan["layers"])
    network.trunk.add_module(ROUTER, Router(network.width, plan["centres"], len(made.names)))
    route = _Route(network.pooling)
    _experts.hang(network, made, lambda _experts, _x: route.gate)
    network.trunk.register_forward_pre_hook(route.before, with_kwargs=True)
    ends = (_experts.END + ".", ROUTER + ".")
    network.hold(name for name, _ in network.trunk.named_parameters() if ends[0] in name or name.startswith(ends[1]))


class _Route:
    """Asks the base about each batch before the adapters are heard."""

    def __init__(self, pooling: str) -> None:
        self.pooling, self.asking = pooling, False
        self.gate: torch.Tensor | None = None

    def before(self, trunk: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        """Run the trunk as the base has it, and set who is heard on the way that follows."""
        if self.asking:
            return
        mask = given.get("attention_mask")
        if mask is None or mask.ndim != 2:
            raise ValueError("a router needs rows of one text each, and their mask")
        self.asking, self.gate = True, None
        try:
            with torch.no_grad():
                hidden = trunk(*args, **given).last_hidden_state
        finally:
            self.asking = False
        self.gate = trunk.router(pooled(hidden, mask, self.pooling)).unsqueeze(1)


def begin(network: TextEncoder, rows: Rows) -> None:
    """Fit the router to the rows that are learned from.

    Raises:
        InputError: nothing says which domain a row is of.
    """
    settings = network.method_settings
    members = _library.read(settings["adapters"], network.base)
    targets = rows.targets.argmax(1) if rows.targets.ndim == 2 else rows.targets
    targets = targets if targets.dtype.kind == "i" else np.zeros(len(targets), dtype=np.int64)  # numbers have one centre
    if rows.stages is not None and rows.stages.max() + 1 == len(members):
        domain = rows.stages
    else:
        domain = _library.by_label([member.labels for member in members], rows.labels, targets)
    expert = np.array(settings["plan"]["stages"])[domain]
    route(network, list(rows.inputs), targets, expert, settings["known"])


def route(network: TextEncoder, texts: Sequence[str], targets: np.ndarray, expert: np.ndarray, known: float) -> None:
    """Fit the router of a network; the base embeds the texts."""
    router: Any = network.trunk.router
    router.limit.data = torch.tensor(-torch.inf)  # nobody is heard: the base alone
    with torch.no_grad():
        unit = torch.cat([F.normalize(network.pooled(*one).float(), dim=-1) for one in batches(network, texts, 64)])
    router.learn(unit, targets, expert, known)
    plan = network.method_settings["plan"]
    network.method_settings = {**network.method_settings, "plan": {**plan, "centres": len(router.centres)}}


def routed(network: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    """Texts -> the place of the expert that answers each, int64 (n,), -1 where the base does."""
    router: Any = network.trunk.router
    limit, router.limit.data = router.limit.data, torch.tensor(-torch.inf)
    with torch.no_grad():
        unit = torch.cat([network.pooled(*one).float() for one in batches(network, texts, 64)])
        router.limit.data = limit
        gate = router(unit)
    found: np.ndarray = np.where(gate.sum(1) > 0, gate.argmax(1), -1)
    return found


def shared(
    members: Sequence[_library.Member], groups: Sequence[Sequence[int]], ranks: Sequence[int], how: How
) -> list[dict[str, _library.Update]]:
    """The updates of the adapter of each group, of the rank that is asked for."""
    made = []
    for number, group in enumerate(groups):
        several = [members[place].updates for place in group]
        rank = ranks[number] if ranks else 0
        whole = len(group) == 1 and rank in (0, members[group[0]].rank)
        made.append(dict(several[0]) if whole else _merging.merged(several, how, (), _merging.DENSITY, rank))
    return made


def _groups(settings: Settings, count: int) -> list[tuple[int, ...]]:
    """The groups asked for, or every adapter by itself.

    Raises:
        InputError: one that leaves an adapter out or has it twice, or ranks that are not as many.
    """
    groups = [tuple(group) for group in settings.groups] or [(place,) for place in range(count)]
    if sorted(place for group in groups for place in group) != list(range(count)) or len(settings.ranks) not in (
        0,
        len(groups),
    ):
        received = f"{groups} with ranks {list(settings.ranks)}"
        raise InputError(f"groups of the places 0 to {count - 1}, each once, and a rank each", received, "Correct them.")
    return groups


def _apart(names: Sequence[str]) -> list[str]:
    """Names that differ: of two data sets of one name the later is numbered."""
    return [name if name not in names[:place] else f"{name} {place + 1}" for place, name in enumerate(names)]


def facts(network: TextEncoder) -> dict[str, Any]:
    """SHA-256 of each adapter, so that one can see which of them an update left as they were."""
    return {"modules": _experts.digests(network, network.method_settings["plan"]["names"])}


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: which adapter is heard depends on the text."""
