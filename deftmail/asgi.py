"""ASGI entry: `uvicorn deftmail.asgi:application`."""

import gc
import importlib
import os

import django

from deftmail.kit.asgi import OneThread
from deftmail.kit.bodylimit import BodyLimit
from deftmail.kit.database import bound_answers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deftmail.settings")
django.setup(set_prefix=False)
bound_answers(4)  # a page says that the database is silent after at most 4 s
importlib.import_module("deftmail.urls")  # all views, which Django would load with the first request
# What is loaded by now lives as long as the process: looking for garbage in it again and again costs pages 5 %.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
application = BodyLimit(OneThread())  # type: ignore[arg-type]  # Django types a scope as dict
