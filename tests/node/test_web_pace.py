import pytest

from node.web.pace import BURST, PAUSE_MAX_S, RATE_PER_S, Paces


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paces(clock: Clock) -> Paces:
    return Paces(clock)


def test_a_burst_passes_and_then_everybody_waits_his_turn(paces: Paces) -> None:
    assert {paces.take("192.0.2.1") for _ in range(int(BURST))} == {0.0}
    pauses = [paces.take("192.0.2.1") for _ in range(3)]
    assert pauses == pytest.approx([1 / RATE_PER_S, 2 / RATE_PER_S, 3 / RATE_PER_S])
    assert paces.take("192.0.2.2") == 0.0


def test_time_refills_the_bucket_and_a_refused_flood_does_not_empty_it(
    paces: Paces, clock: Clock
) -> None:
    for _ in range(100_000):
        paces.take("192.0.2.1")
    assert paces.take("192.0.2.1") > PAUSE_MAX_S
    clock.now += 2.0
    assert paces.take("192.0.2.1") <= PAUSE_MAX_S
    clock.now += PAUSE_MAX_S + BURST / RATE_PER_S
    assert paces.take("192.0.2.1") == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::2"), ("", "")],
)
def test_one_customer_has_one_bucket(paces: Paces, one: str, other: str) -> None:
    for _ in range(int(BURST)):
        paces.take(one)
    assert paces.take(other) > 0.0


def test_addresses_without_end_take_no_memory_without_end(
    paces: Paces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.pace.ADDRESSES_MAX", 2)
    for number in range(10):
        for _ in range(2):
            paces.take(f"192.0.2.{number}")
    assert len(paces._buckets) == 2
