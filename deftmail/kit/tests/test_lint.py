from pathlib import Path

import pytest

from deftmail.kit import lint, settings_docs


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("deftmail/web/views.py", "Domain.objects.filter(pk=1)", 1),
        ("deftmail/web/views.py", "Domain.objects.filter(pk=1)  # tenant-scope: public count", 0),
        ("deftmail/domains/access.py", "Domain.objects.get(pk=1)", 0),
        ("deftmail/domains/selectors/lists.py", "Domain.objects.all()", 0),
        ("deftmail/domains/selectors/lists.py", "Domain.objects.using('system')", 1),
        ("deftmail/domains/selectors/system.py", "Domain.objects.using('system')", 0),
        ("deftmail/domains/tasks.py", "tenant_tx(1, using='system')", 1),
        ("deftmail/web/views.py", "Plan.objects.all()", 0),
    ],
)
def test_the_door_is_guarded(path, source, found):
    assert len(lint.problems(Path(path), source)) == found


def test_generated_settings_files_are_current():
    for path, text in settings_docs.render().items():
        assert path.read_text() == text, f"{path.name}: run `make fmt`"
