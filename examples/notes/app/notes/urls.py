"""The pages: POST /notes with a text, GET /notes lists them, GET /healthz says that the process answers."""

from django.http import HttpResponseNotAllowed, JsonResponse
from django.urls import path

from .models import Note
from .tasks import count_words


def healthz(_request):
    return JsonResponse({"status": "ok"})


def notes(request):
    if request.method == "GET":
        return JsonResponse({"notes": list(Note.objects.order_by("id").values("id", "text", "words"))})
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "POST"])
    note = Note.objects.create(text=request.body.decode("utf-8", "replace")[:10000])
    count_words.delay(note.pk)
    return JsonResponse({"id": note.pk}, status=202)


urlpatterns = [path("healthz", healthz), path("notes", notes)]
