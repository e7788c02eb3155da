from django.urls import path

from deftmail.sending import views

app_name = "sending"
urlpatterns = [
    path("sending", views.door, name="door"),  # in every refusal, so short and for ever
    path("sending/", views.meter, name="meter"),
    path("sending/more/", views.more, name="more"),
    path("sending/blocks/<uuid:block_id>/appeal/", views.appeal, name="appeal"),
    path("sending/mailboxes/<uuid:mailbox_id>/", views.mailbox, name="mailbox"),
]
