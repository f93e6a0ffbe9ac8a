import pytest

from app.detection.community_id import community_id


@pytest.mark.parametrize(
    ("transport", "here", "there", "expected"),
    [
        ("tcp", ("128.232.110.120", 34855), ("66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("udp", ("192.168.1.52", 54585), ("8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    ],
)
def test_community_ids_are_those_of_the_specification_in_both_directions(
    transport: str, here: tuple[str, int], there: tuple[str, int], expected: str
) -> None:
    assert community_id(transport, here, there) == expected
    assert community_id(transport, there, here) == expected
