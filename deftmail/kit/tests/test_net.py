import pytest
from django.test import RequestFactory

from deftmail.kit import net


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_only_our_own_proxies_are_believed(monkeypatch, proxies, forwarded, expected):
    class Fixed:
        trusted_proxies = proxies

    monkeypatch.setattr(net, "conf", Fixed)
    request = RequestFactory().get("/", HTTP_X_FORWARDED_FOR=forwarded)
    assert net.client_ip(request) == expected
