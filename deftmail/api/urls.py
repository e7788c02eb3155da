from django.urls import path

from deftmail.api.v1 import api

urlpatterns = [path("v1/", api.urls)]
