"""Public pages, and the style guide in local and test mode."""

from django.urls import path

from deftmail.web.views import console, dev, public

app_name = "web"
urlpatterns = [
    path("", public.landing, name="landing"),
    path("overview", console.overview, name="overview"),
    path("legal/terms", public.terms, name="terms"),
    path("legal/privacy", public.privacy, name="privacy"),
    path("dev/ui", dev.guide, name="dev_ui"),
    path("dev/ui/mail", dev.mail, name="dev_mail"),
    path("dev/ui/card", dev.card, name="dev_card"),
    path("dev/ui/confirm", dev.confirm, name="dev_confirm"),
    path("dev/ui/act/<slug:name>", dev.act, name="dev_act"),
    path("dev/ui/error/<int:status>", dev.error, name="dev_error"),
]
