"""ASGI entry: `uvicorn deftmail.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from deftmail.kit.bodylimit import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deftmail.settings")
application = BodyLimit(get_asgi_application())
