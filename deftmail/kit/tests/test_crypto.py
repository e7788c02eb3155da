import uuid

import pytest

from deftmail.kit import crypto

TENANT, ROW = uuid.uuid4(), uuid.uuid4()


def test_what_was_sealed_opens_for_its_own_row():
    sealed = crypto.seal("-----BEGIN KEY", table="domains", tenant_id=TENANT, row_id=ROW)
    assert "BEGIN" not in sealed
    assert crypto.unseal(sealed, table="domains", tenant_id=TENANT, row_id=ROW) == "-----BEGIN KEY"


@pytest.mark.parametrize(
    ("table", "tenant", "row"),
    [("other", TENANT, ROW), ("domains", uuid.uuid4(), ROW), ("domains", TENANT, uuid.uuid4())],
)
def test_a_seal_copied_elsewhere_does_not_open(table, tenant, row):
    sealed = crypto.seal("secret", table="domains", tenant_id=TENANT, row_id=ROW)
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(sealed, table=table, tenant_id=tenant, row_id=row)


@pytest.mark.parametrize("text", ["", "v1|k1|x", "v2|k1|AAAA|AAAA", "v1|nokey|AAAA|AAAA", "plain text"])
def test_damage_is_one_typed_error(text):
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(text, table="domains", tenant_id=TENANT, row_id=ROW)


def test_a_retired_key_still_opens(monkeypatch):
    sealed = crypto.seal("secret", table="t", tenant_id=TENANT, row_id=ROW)
    old = dict(crypto._keys())
    monkeypatch.setattr(crypto, "_keys", lambda: {"k2": b"2" * 32, **old})
    assert crypto.unseal(sealed, table="t", tenant_id=TENANT, row_id=ROW) == "secret"
    assert crypto.seal("secret", table="t", tenant_id=TENANT, row_id=ROW).split("|")[1] == "k2"
