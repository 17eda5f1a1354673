"""A note."""

from django.db import models


class Note(models.Model):
    """A text, and how many words it has once they are counted."""

    text = models.TextField()
    words = models.IntegerField(null=True)
