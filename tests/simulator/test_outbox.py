from hypothesis import given
from hypothesis import strategies as st

from app.simulator.outbox import LINES_MAX, Line, Outbox


def lines(*texts: str, at: int = 100) -> list[Line]:
    return [Line(at, text.encode()) for text in texts]


def test_oldest_lines_come_first_and_within_a_second_by_number_as_text() -> None:
    outbox = Outbox()
    outbox.put(*lines("later", at=200))
    outbox.put(*lines(*(f"n{number}" for number in range(2, 13))))

    batch, _ = outbox.head()

    assert batch == [b"n10", b"n11", b"n12", b"n2", b"n3", b"n4", b"n5", b"n6", b"n7", b"n8", b"n9", b"later"]


def test_a_batch_has_at_most_1024_lines() -> None:
    outbox = Outbox()
    outbox.put(*lines(*map(str, range(LINES_MAX + 1))))

    assert len(outbox.head()[0]) == 1024


def test_what_was_offered_and_not_dropped_counts_as_sent_again() -> None:
    outbox = Outbox()
    outbox.put(*lines("a", "b"))
    assert outbox.head()[1] == 0

    outbox.put(*lines("c", at=300))
    batch, again = outbox.head()

    assert (batch, again) == ([b"a", b"b", b"c"], 2)
    outbox.drop(3)
    outbox.put(*lines("d"))
    assert outbox.head() == ([b"d"], 0)


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=30))
def test_whatever_the_server_does_every_line_leaves_exactly_once(turns: list[tuple[int, bool]]) -> None:
    outbox, put, gone = Outbox(), 0, []
    for count, taken in turns:
        outbox.put(*(Line(put + number, b"%d" % (put + number)) for number in range(count)))
        put += count
        batch, _ = outbox.head(16)
        if taken:
            gone += batch
            outbox.drop(len(batch))

    rest, _ = outbox.head(put)
    assert [int(text) for text in gone + rest] == list(range(put))
