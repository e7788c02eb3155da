from django.urls import path

from deftmail.sending.office import views

app_name = "office"
urlpatterns = [
    path("", views.cases, name="cases"),
    path("cases/<uuid:case_id>/", views.case, name="case"),
    path("cases/<uuid:case_id>/release/", views.release, name="release"),
    path("cases/<uuid:case_id>/refuse/", views.refuse, name="refuse"),
    path("companies/", views.companies, name="companies"),
    path("companies/<uuid:company_id>/", views.company, name="company"),
    path("companies/<uuid:company_id>/limits/", views.limits, name="limits"),
    path("companies/<uuid:company_id>/block/", views.block, name="block"),
    path("blocks/<uuid:block_id>/lift/", views.lift, name="lift"),
]
