from django.urls import path

from deftmail.domains import views

app_name = "domains"
urlpatterns = [
    path("domains/", views.index, name="list"),
    path("domains/add/", views.add, name="add"),
    path("domains/<uuid:domain_id>/", views.detail, name="detail"),
    path("domains/<uuid:domain_id>/check/", views.check, name="check"),
    path("domains/<uuid:domain_id>/retry/", views.retry, name="retry"),
    path("domains/<uuid:domain_id>/delete/", views.delete, name="delete"),
]
