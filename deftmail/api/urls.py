"""The API, and the pages its errors point to."""

from django.urls import path

from deftmail.api import views
from deftmail.api.v1 import api

urlpatterns = [
    path("api/v1/", api.urls),
    path("docs/problems/", views.problem_list, name="problem_list"),
    path("docs/problems/<slug:code>", views.problem_page, name="problem_page"),
]
