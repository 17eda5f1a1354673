"""All that differs between a laptop and production comes from the environment."""

import os
import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
# The load balancer asks by address; nothing here trusts the Host header.
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "notes.urls"
INSTALLED_APPS = ["notes"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
# Without it an error goes to no log at all.
LOGGING = {"version": 1, "handlers": {"console": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["console"], "level": "INFO"}}

_database = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database.hostname,
        "PORT": _database.port or 5432,
        "NAME": unquote(_database.path[1:]),
        "USER": unquote(_database.username or ""),
        "PASSWORD": unquote(_database.password or ""),
        "OPTIONS": {"connect_timeout": 5, **dict(parse_qsl(_database.query))},
    }
}

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
if CELERY_BROKER_URL.startswith("rediss:"):
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": os.environ.get("SSL_CERT_FILE")}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
