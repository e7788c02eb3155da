from django.urls import path

from deftmail.ops import views

app_name = "ops"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("dev/outbox", views.outbox_list, name="outbox"),
    path("dev/outbox/<str:name>", views.outbox_message, name="outbox_message"),
]
