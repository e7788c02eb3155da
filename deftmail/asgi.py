"""ASGI entry: `uvicorn deftmail.asgi:application`."""

import gc
import importlib
import os

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from deftmail.kit.bodylimit import BodyLimit
from deftmail.kit.database import bound_answers


class OneThread(ASGIHandler):
    """Django's handler with the whole of a request, middleware and view, in one thread.

    Django itself runs each middleware that can do both on the event loop and hops into a thread for every hook and for
    the view: about thirty hops a request, though every view of ours is synchronous.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(self.get_response, thread_sensitive=True)(request)
        return response


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deftmail.settings")
django.setup(set_prefix=False)
bound_answers(4)  # a page says that the database is silent after at most 4 s
importlib.import_module("deftmail.urls")  # all views, which Django would load with the first request
# What is loaded by now lives as long as the process: looking for garbage in it again and again costs pages 5 %.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
application = BodyLimit(OneThread())  # type: ignore[arg-type]  # Django types a scope as dict
