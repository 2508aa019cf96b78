from __future__ import annotations

import msgspec

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.controller import Controller
from streamgen.control.random_search import RandomSearch
from streamgen.control.schedule import Schedule
from streamgen.control.space import Float, Space
from streamgen.journal.store import Store
from streamgen.learned import SNAPSHOT, WARM, SettledTickets, budget_left, recall
from streamgen.llm.budget import Budget, Ledger
from streamgen.record import Meta, Record, encode

SPACE = Space({"a.t": Float(0.0, 1.0)})


def test_settled_tickets_are_known_with_their_records_and_drops() -> None:
    store = Store(None)
    body = {id_: encode(Record(id_, {}, Meta(ticket=int(id_[0])))) for id_ in ("0.0", "0.1", "2", "3")}
    store.commit({"outcomes": [(2, "accepted", None, None), (1, "dropped", b'[["a","empty",2]]', None)],
                  "records": [(1, 2, "2", body["2"])]})  # fmt: skip
    store.commit({
        "outcomes": [(0, "accepted", None, None)],
        "records": [(2, 0, "0.0", body["0.0"]), (3, 3, "3", body["3"])],
        "surplus": [(0, "0.1", body["0.1"])],
    })  # fmt: skip
    settled = SettledTickets(store)
    assert [settled.is_settled(ticket) for ticket in range(5)] == [True, True, True, False, False]
    assert [record.id for record in settled.records(1)] == ["0.0", "3", "0.1"]
    assert settled.drops({0, 1}) == {1: {("a", "empty"): 2}}
    assert settled.drops({0}) == settled.drops(set()) == {}
    store.close()


class Silent:
    metric = "n"

    async def score(self, records: object, pool: object) -> dict[str, float]:
        return {"n": 0.0}


class Recorder(RandomSearch):
    """Says what it was told, in order."""

    def __init__(self) -> None:
        super().__init__(SPACE, 1)
        self.heard: list[str] = []

    def ask(self, observation: Observation) -> Proposal:
        raise AssertionError("nobody asks")

    def tell(self, trial: Trial, reward: Reward) -> None:
        self.heard.append(f"tell {trial.id} at rung {trial.rung}: {reward.value}")

    def forget(self, trial: Trial) -> None:
        self.heard.append(f"forget {trial.id}")

    def warm_start(self, told: object) -> None:
        self.heard.append(f"begin with {told}")

    def load_state_dict(self, state: object) -> None:
        if state != {"version": 2}:
            raise ValueError("another version")
        self.heard.append("load")


def trial(id_: int, **more: object) -> Trial:
    raw = {"id": id_, "first_ticket": 2 * id_, "tickets": 2, "settings": {"a.t": 0.5}, "kind": "explore", **more}
    return msgspec.convert(raw, Trial)


TRIALS = [
    trial(0, forgotten=1), trial(1, rung=1, more=[(8, 2)]), trial(2), trial(3, forgotten=4),
]  # fmt: skip
REWARDS = [(1, Reward(value=1.0, partial=True)), (2, Reward(value=2.0)), (1, Reward(value=3.0))]
ALL = ["tell 1 at rung 0: 1.0", "forget 0", "tell 2 at rung 0: 2.0", "tell 1 at rung 1: 3.0", "forget 3"]


def heard_from(store: Store) -> list[str]:
    agent = Recorder()
    recall(Controller(agent, Silent(), SPACE, {"a.t": 0.5}, schedule=Schedule(rungs=(2, 4))), store, TRIALS, REWARDS)
    store.close()
    return agent.heard


def test_an_agent_hears_again_what_it_was_told_in_its_order() -> None:
    assert heard_from(Store(None)) == ALL


def test_after_a_snapshot_only_what_came_behind_it_is_told() -> None:
    store = Store(None)
    body = b'{"told":3,"since":0,"agent":{"version":2},"pool":[]}'
    store.commit({"snapshots": [(SNAPSHOT, 0, b"", body)]})
    assert heard_from(store) == ["load", *ALL[3:]]


def test_a_snapshot_of_another_version_is_passed_over() -> None:
    store = Store(None)
    store.commit({"snapshots": [(SNAPSHOT, 0, b"", b'{"told":3,"since":0,"agent":{"version":1},"pool":[]}')]})
    assert heard_from(store) == ALL


def test_what_an_earlier_run_had_learned_comes_first() -> None:
    store = Store(None)
    store.commit({"facts": [(WARM, b'{"told":[[{"a.t":0.25},{"value":7.0}]],"notes":["began"]}')]})
    assert heard_from(store) == [f"begin with [({{'a.t': 0.25}}, {Reward(value=7.0)})]", *ALL]


def test_the_budget_that_is_left_is_that_of_what_ends_first() -> None:
    ledger = Ledger(Budget(tokens=100, minutes=10), clock=lambda: 300.0)
    assert budget_left(ledger) == 1.0
    ledger.restore((), minutes=2.5)
    assert budget_left(ledger) == 0.75
    assert budget_left(Ledger(Budget(), clock=lambda: 0.0)) == 1.0
    assert budget_left(Ledger(Budget(usd=0), clock=lambda: 0.0)) == 0.0
