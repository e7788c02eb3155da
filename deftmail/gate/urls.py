from django.urls import path

from deftmail.gate import views

app_name = "gate"
urlpatterns = [
    path("stalwart/hook", views.hook, name="stalwart_hook"),
    path("stalwart/events", views.events, name="stalwart_events"),
]
