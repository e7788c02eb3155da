from django.urls import path

from deftmail.mailboxes import views

app_name = "mailboxes"
urlpatterns = [
    path("addresses/", views.index, name="list"),
    path("addresses/add/", views.add, name="add"),
    path("addresses/<uuid:mailbox_id>/", views.detail, name="detail"),
    path("addresses/<uuid:mailbox_id>/change/", views.change, name="change"),
    path("addresses/<uuid:mailbox_id>/password/", views.password, name="password"),
    path("addresses/<uuid:mailbox_id>/disable/", views.disable, name="disable"),
    path("addresses/<uuid:mailbox_id>/enable/", views.enable, name="enable"),
    path("addresses/<uuid:mailbox_id>/retry/", views.retry, name="retry"),
    path("addresses/<uuid:mailbox_id>/delete/", views.delete, name="delete"),
]
