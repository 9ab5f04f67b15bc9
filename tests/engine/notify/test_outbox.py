"""What happens together is one notification; what cannot be sent is tried again, and not for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from softcopy_napari.engine.notify.message_text import Item
from softcopy_napari.engine.notify.outbox import INTERVAL, WAIT, Outbox, Parcel
from softcopy_napari.engine.targets.notify import NotifyEvent

LAB = (SecretStr("ntfy://lab"),)
PHONE = (SecretStr("ntfy://phone"), SecretStr("env:MAIL"))


def item(number: int) -> Item:
    return Item(NotifyEvent.DONE, f"{number}.zarr", ())


def play(comes: list[float], end: float) -> list[Parcel]:
    outbox, parcels, waiting = Outbox(), [], sorted(comes)
    now = 0.0
    while now <= end:
        while waiting and waiting[0] <= now:
            waiting.pop(0)
            outbox.add(LAB, item(0), now)
        parcels += outbox.pop_due_parcels(now)
        now += 2.0
    return parcels + outbox.pop_due_parcels(end, everything=True)


def test_64_targets_that_finish_together_are_one_message() -> None:
    outbox = Outbox()
    for number in range(64):
        outbox.add(LAB, item(number), number * 0.2)
    assert outbox.pop_due_parcels(WAIT - 0.1) == []
    (parcel,) = outbox.pop_due_parcels(WAIT)
    assert len(parcel.items) == 64
    assert outbox.pop_due_parcels(1e9) == []


@given(st.lists(st.floats(0.0, 7200.0), max_size=100))
def test_whatever_happens_there_are_few_messages_and_nothing_is_lost(comes: list[float]) -> None:
    parcels = play(comes, 7200.0)
    assert sum(len(parcel.items) for parcel in parcels) == len(comes)
    assert len(parcels) <= 7200.0 / INTERVAL + 2


def test_each_place_gets_its_own() -> None:
    outbox = Outbox()
    outbox.add(LAB, item(1), 0.0)
    outbox.add(PHONE, item(2), 0.0)
    assert {parcel.urls: parcel.items for parcel in outbox.pop_due_parcels(WAIT)} == {
        LAB: (item(1),),
        PHONE: (item(2),),
    }


def test_what_a_place_does_not_take_is_sent_there_again_a_few_times() -> None:
    outbox = Outbox()
    outbox.add(PHONE, item(1), 0.0)
    (parcel,) = outbox.pop_due_parcels(WAIT)
    now, attempts = WAIT, 1
    while True:
        outbox.put_back(parcel, PHONE[:1], now)
        assert outbox.pop_due_parcels(now + 1) == []
        now += INTERVAL
        again = outbox.pop_due_parcels(now)
        if not again:
            break
        (parcel,) = again
        assert (parcel.urls, parcel.items) == (PHONE[:1], (item(1),))
        attempts += 1
    assert attempts == 3


def test_what_every_place_took_is_not_sent_again() -> None:
    outbox = Outbox()
    outbox.put_back(Parcel(LAB, (item(1),)), (), 0.0)
    assert outbox.pop_due_parcels(1e9, everything=True) == []
