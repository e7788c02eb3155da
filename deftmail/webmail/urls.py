from django.urls import path

from deftmail.webmail.views import acts, compose, folders, lists, parts

app_name = "webmail"
urlpatterns = [
    path("", lists.index, name="index"),
    path("folders", folders.folder_list, name="folders"),
    path("folders/new", folders.create, name="folder_create"),
    path("folders/<str:folder_id>/rename", folders.rename, name="folder_rename"),
    path("folders/<str:folder_id>/delete", folders.delete, name="folder_delete"),
    path("folders/<str:folder>/empty", folders.empty, name="folder_empty"),
    path("f/<str:folder>", lists.folder, name="folder"),
    path("f/<str:folder>/t/<str:thread_id>", lists.thread, name="thread"),
    path("search", lists.search, name="search"),
    path("search/t/<str:thread_id>", lists.search_thread, name="search_thread"),
    path("act", acts.act, name="act"),
    path("undo/<str:token>", acts.undo_act, name="undo"),
    path("body/<str:email_id>", parts.body, name="body"),
    path("part/<str:blob_id>/<str:name>", parts.attachment, name="attachment"),
    path("picture/<str:blob_id>", parts.picture, name="picture"),
    path("source/<str:email_id>", parts.source, name="source"),
    path("compose", compose.compose, name="compose"),
    path("compose/draft", compose.save, name="draft_save"),
    path("compose/discard", compose.discard, name="draft_discard"),
    path("compose/upload", compose.upload, name="upload"),
]
