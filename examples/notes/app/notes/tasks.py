"""What the worker does."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes.settings")
app = Celery("notes")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(autoretry_for=(Exception,), retry_backoff=1, max_retries=8)
def count_words(identity):
    """Count a note's words."""
    from .models import Note

    note = Note.objects.get(pk=identity)
    Note.objects.filter(pk=identity).update(words=len(note.text.split()))
