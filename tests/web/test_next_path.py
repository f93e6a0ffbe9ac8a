import pytest

from app.web.next_path import local_path


@pytest.mark.parametrize(
    "ours", ["/", "/findings", "/findings?state=open&cursor=a%2Fb", "/a//b", "/sign-in#x", "/.//x"]
)
def test_a_path_of_ours_is_gone_to(ours: str) -> None:
    assert local_path(ours) == ours


@pytest.mark.parametrize(
    "elsewhere",
    ["", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "\\/evil.test", "https://evil.test",
     "https:evil.test", "javascript:alert(1)", "data:text/html,x", "evil.test", "./x", "?next=/", "/\t/evil.test",
     "\t//evil.test", "/\n/evil.test", "/\r\nSet-Cookie: x=y", "/\0", "/\x7f", "/ö", "\uff0f\uff0fevil.test",
     "/ x", "/" + "x" * 2000],
)  # fmt: skip
def test_nothing_leads_elsewhere(elsewhere: str) -> None:
    assert local_path(elsewhere) == "/"
