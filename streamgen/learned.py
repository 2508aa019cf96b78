"""What the journal keeps of a controller, and gives back to it when a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from streamgen.control.agent import Reward, Trial
from streamgen.control.batch import Drops
from streamgen.control.controller import Controller, Hooks
from streamgen.control.told import Epoch, Learned
from streamgen.control.warm_start import Carried, carry_over
from streamgen.errors import RecipeError
from streamgen.inspection import reading, trials_of
from streamgen.journal.journal import Journal
from streamgen.journal.store import Store
from streamgen.llm.budget import Ledger
from streamgen.recipe import Recipe
from streamgen.record import Record, decode

SNAPSHOT = "[controller]"  # among the snapshots, where the others bear the names of metrics
EPOCH = "controller.epoch"
WARM = "controller.warm_start"

_encode = msgspec.json.Encoder().encode


def keep_in(journal: Journal, ledger: Ledger, clock: Callable[[], float]) -> Hooks:
    """Hooks that write all that a controller decides and learns into the journal."""

    def on_note(body: bytes) -> None:
        journal.append("snapshots", SNAPSHOT, journal.last_seq, b"", body)

    return Hooks(
        on_trial=lambda trial: journal.append("trials", trial.id, _encode(trial)),
        on_reward=lambda trial, reward: journal.append("rewards", trial.id, _encode(reward)),
        on_note=on_note if journal.store.path else lambda body: None,
        accepted=lambda: journal.last_seq,
        budget_left=lambda: budget_left(ledger),
        clock=clock,
    )


def budget_left(ledger: Ledger) -> float:
    """The share of the budget that is left, of what is nearest to its end; 1 where nothing is bounded."""
    spent, budget = ledger.spent(), ledger.budget
    shares = [
        used / limit if limit else 1.0
        for used, limit in (
            (spent.usd or 0.0, budget.usd), (spent.tokens, budget.tokens),
            (spent.requests, budget.requests), (spent.minutes, budget.minutes),
        )
        if limit is not None
    ]  # fmt: skip
    return max(0.0, 1.0 - max(shares, default=0.0))


def recall(
    controller: Controller, store: Store, trials: Sequence[Trial], rewards: Iterable[tuple[int, Reward]]
) -> None:
    """Bring the controller to where the last session left it; it reads the records that are still needed."""
    if warm := store.fact(WARM):
        carried = msgspec.json.decode(warm, type=Carried)
        controller.warm_start(carried.told)
        controller.notes += carried.notes
    if trials:
        controller.restore(trials, rewards, SettledTickets(store), _snapshot(store), epoch_of(store))


def begin_with(store: Store, recipe: Recipe, controller: Controller) -> None:
    """Take over what the earlier run has learned that `warm_start` names, once. Raises RecipeError."""
    spec = recipe.controller
    if spec is None or spec.warm_start is None or store.fact(WARM) is not None:
        return
    with reading(earlier := recipe.directory / spec.warm_start) as other:
        carried = _carried(other, recipe, controller, str(earlier))
    if not carried.told:
        raise RecipeError(
            f"nothing can be learned from {earlier}: {'; '.join(carried.notes)}", "$.controller.warm_start"
        )
    store.commit({"facts": [(WARM, _encode(carried))]})


def begin_anew(store: Store, recipe: Recipe, controller: Controller) -> None:
    """Let another space begin in this journal, with what its own trials have taught."""
    trials = trials_of(store)
    (rewards,) = store.one("SELECT count(*) FROM rewards")
    told = int(rewards or 0) + sum(result.trial.forgotten is not None for result in trials)
    tickets = sum(count for result in trials for _, count in result.trial.ranges)
    carried = _carried(store, recipe, controller, "its own earlier trials")
    store.commit({"facts": [
        (WARM, _encode(carried)), (EPOCH, _encode(Epoch(trials=len(trials), tickets=tickets, told=told)))
    ]})  # fmt: skip


def _carried(store: Store, recipe: Recipe, controller: Controller, source: str) -> Carried:
    then = msgspec.json.decode(store.fact("recipe") or b"{}")
    now = {
        f"{stage.name}.{name}": value
        for stage in recipe.stages if stage.settings is not None
        for name, value in msgspec.to_builtins(stage.settings, enc_hook=str).items()
    }  # fmt: skip
    before = {
        f"{stage}.{name}": value
        for stage, settings in then.get("stages", {}).items() for name, value in settings.items()
    }  # fmt: skip
    return carry_over(trials_of(store), before, controller.space, now, source)


def epoch_of(store: Store) -> Epoch:
    """Where the present space's trials begin."""
    found = store.fact(EPOCH)
    return msgspec.json.decode(found, type=Epoch) if found else Epoch()


class SettledTickets:
    """The settled tickets of a journal."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._progress = store.progress()

    def is_settled(self, ticket: int) -> bool:
        """Whether the ticket has an outcome."""
        return ticket < self._progress.following and ticket not in self._progress.open

    def records(self, after: int) -> Iterable[Record]:
        """Accepted records behind the first `after`, and all surplus."""
        accepted = (stored.body for page in self._store.pages(after) for stored in page)
        surplus = (_bytes(body) for (body,) in self._store.rows("SELECT body FROM surplus ORDER BY n"))
        return map(decode, chain(accepted, surplus))

    def drops(self, tickets: set[int]) -> Mapping[int, Drops]:
        """What was dropped of the tickets. Pages are read from the last one back until all of them are found."""
        missing, found = set(tickets), {}
        for (page,) in self._store.rows("SELECT page(at, size) FROM outcome_pages ORDER BY n DESC"):
            if not missing:
                break
            for entry in msgspec.json.decode(_bytes(page)):
                ticket, drops = (entry, None) if isinstance(entry, int) else (entry[0], entry[2])
                if ticket in missing and drops:
                    found[ticket] = {(stage, reason): count for stage, reason, count in drops}
                missing.discard(ticket)
        return found


def _snapshot(store: Store) -> Learned | None:
    found = store.read("SELECT body FROM snapshots WHERE name = ?", SNAPSHOT)
    return msgspec.json.decode(_bytes(found[0][0]), type=Learned) if found else None


def _bytes(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()
