"""All routes. Every one carries a request limit (`kit.middleware.limited`) and is walked by the stranger test."""

from django.urls import include, path

urlpatterns = [
    path("", include("deftmail.ops.urls")),
    path("", include("deftmail.tenants.urls")),
    path("", include("deftmail.domains.urls")),
    path("", include("deftmail.mailboxes.urls")),
    path("", include("deftmail.sending.urls")),
    path("office/", include("deftmail.sending.office.urls")),
    path("engine/", include("deftmail.gate.urls")),
    path("mail/", include("deftmail.webmail.urls")),
    path("", include("deftmail.api.urls")),
    path("", include("deftmail.web.urls")),
]

handler400 = "deftmail.web.errors.bad_request"
handler403 = "deftmail.web.errors.forbidden"
handler404 = "deftmail.web.errors.not_found"
handler500 = "deftmail.web.errors.server_error"
