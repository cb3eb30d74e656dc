"""Settings: typed readers of the environment on top, then one section a concern.

Every value a deployment may set is read here, under the prefix `SPARSEBOARD_`, and listed in
docs/operations.md. A secret may come from a file: `SPARSEBOARD_SECRET_KEY_FILE=/run/secrets/key`.
"""

import contextlib
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured


def env_text(name: str, default: str = "") -> str:
    key = f"SPARSEBOARD_{name}"
    path = os.environ.get(f"{key}_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else os.environ.get(key, default)


def env_flag(name: str, default: bool = False) -> bool:
    text = env_text(name, "1" if default else "0").lower()
    if text not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"SPARSEBOARD_{name} is {text!r}: use 1 or 0")
    return text in {"1", "true", "yes"}


def env_number(name: str, default: int) -> int:
    text = env_text(name, str(default))
    if not text.lstrip("-").isdigit():
        raise ImproperlyConfigured(f"SPARSEBOARD_{name} is {text!r}: use a whole number")
    return int(text)


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env_text(name, default).split(",") if part.strip()]


BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(env_text("VAR", str(BASE_DIR / "var"))).resolve()

# The process
# Debug is for developers; the embedded default already runs as production does, on this machine only.
DEBUG = env_flag("DEBUG")
ALLOWED_HOSTS = env_list("HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("ORIGINS")
BEHIND_TLS = env_flag("BEHIND_TLS")
ROOT_URLCONF = "leaderboard.urls"
WSGI_APPLICATION = "leaderboard.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
SITE_NAME = "SparseBoard"


def _secret_key() -> str:
    """The configured key, or one made once and kept beside the embedded database."""
    if key := env_text("SECRET_KEY"):
        return key
    if env_text("DB_HOST"):
        raise ImproperlyConfigured("SPARSEBOARD_SECRET_KEY is required where SPARSEBOARD_DB_HOST is set")
    path = VAR / "secret-key"
    if not path.exists():
        VAR.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.touch(mode=0o600)
        beside.write_text(os.urandom(32).hex(), encoding="ascii")
        # Of several processes that start together, one wins, and all read its key.
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()

INSTALLED_APPS = [
    "leaderboard.accounts",
    "leaderboard.catalog",
    "leaderboard.hosts",
    "leaderboard.submissions",
    "leaderboard.boards",
    "leaderboard.api",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "django_tables2",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database: SQLite in var/, or PostgreSQL where SPARSEBOARD_DB_HOST is set


def _database() -> dict[str, Any]:
    if host := env_text("DB_HOST"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": host,
            "PORT": env_number("DB_PORT", 5432),
            "NAME": env_text("DB_NAME", "sparseboard"),
            "USER": env_text("DB_USER", "sparseboard"),
            "PASSWORD": env_text("DB_PASSWORD"),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    VAR.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "db.sqlite3",
        # Writers queue for the lock from BEGIN on, instead of failing when a read turns into a write.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        # A file, not memory: tests with threads and processes open it more than once.
        "TEST": {"NAME": VAR / "test.sqlite3"},
    }


DATABASES = {"default": _database()}

# Broker: kombu's filesystem transport in var/, or Redis
REDIS_URL = env_text("REDIS_URL")
BROKER_FOLDER = VAR / "broker"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    # On disk, because limits on sign-in and requests must count over all web processes.
    else {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": VAR / "cache"}
}

# Evaluations and what they leave behind
LEASE_SECONDS = env_number("LEASE_SECONDS", 60)
HEARTBEAT_SECONDS = env_number("HEARTBEAT_SECONDS", 15)
RECONCILE_SECONDS = env_number("RECONCILE_SECONDS", 10)
MAX_ATTEMPTS = 3
EVALUATION_HARD_LIMIT_SECONDS = env_number("EVALUATION_HARD_LIMIT_SECONDS", 24 * 3600)
# With operating points the limit grows by as much again for each point that encodes again, up to this.
EVALUATION_SWEEPS_LIMIT_SECONDS = max(
    env_number("EVALUATION_SWEEPS_LIMIT_SECONDS", 7 * 24 * 3600), EVALUATION_HARD_LIMIT_SECONDS
)
# Vectors kept from one evaluation to the next, of every attempt and track; 0 keeps none.
VECTOR_CACHE = VAR / "vectors"
VECTOR_CACHE_MB = env_number("VECTOR_CACHE_MB", 20 * 1024)
EVALUATION_MEMORY_BYTES = env_number("EVALUATION_MEMORY_MB", 16 * 1024) * 2**20
# What a worker runs for a claim. Tests of faults put a stand-in here, which crashes or hangs when told to.
EVALUATOR_MODULE = env_text("EVALUATOR_MODULE", "evaluations")
# Before a worker takes anything it reproduces stored scores on `mini`, at most once a day.
BASELINE_CHECK = env_flag("BASELINE_CHECK", True)
# Where the latency workers of all boards on this host know of each other, whoever runs them.
HOST_LOCKS = Path(env_text("HOST_LOCKS", tempfile.gettempdir()))
# A session on a noisy machine is tried again after a while; this often it may be rejected.
LATENCY_SESSIONS = 3
LATENCY_RETRY_SECONDS = env_number("LATENCY_RETRY_SECONDS", 300)
# Folders laid out ORG/NAME: looked in before the hub.
MODELS = env_text("MODELS", str(VAR / "models"))
# `evaluations` knows no settings: it reads the environment, also when the web asks it for a version.
os.environ.setdefault("SPARSEBOARD_MODELS", MODELS)
UPLOAD_LIMIT_BYTES = env_number("UPLOAD_LIMIT_MB", 200) * 2**20
# Of the archive of a model or of vectors, where temporary files go, for as long as it is checked.
UNPACKED_LIMIT_BYTES = env_number("UNPACKED_LIMIT_MB", 2048) * 2**20
SUBMISSIONS_PER_DAY = env_number("SUBMISSIONS_PER_DAY", 50)

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20


def _artefacts() -> dict[str, Any]:
    if bucket := env_text("S3_BUCKET"):
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {"bucket_name": bucket, "endpoint_url": env_text("S3_ENDPOINT") or None},
        }
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "artefacts"},
    }


STORAGES: dict[str, Any] = {
    "default": _artefacts(),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Static files
STATIC_URL = "/static/"
STATIC_ROOT = Path(env_text("STATIC_ROOT", str(VAR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "leaderboard.boards.finders.PlotlyFinder",
]

# Accounts
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
EMAIL_HOST = env_text("MAIL_HOST")
EMAIL_PORT = env_number("MAIL_PORT", 587)
EMAIL_HOST_USER = env_text("MAIL_USER")
EMAIL_HOST_PASSWORD = env_text("MAIL_PASSWORD")
EMAIL_USE_TLS = env_flag("MAIL_TLS", True)
DEFAULT_FROM_EMAIL = env_text("MAIL_FROM", "sparseboard@localhost")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
# Without a mail server nobody could ever confirm an address.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_HOST else "none"
if EMAIL_HOST:
    ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
# By name and address together: by address alone, one lecture hall locks itself out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "leaderboard.accounts.lockout.typed_name"
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
# Failures of one name are axes' to count, with the address: by name alone, anybody could lock anybody out.
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip"}

# REST
KNOX_TOKEN_MODEL = "accounts.AuthToken"  # noqa: S105 - the name of a model
# knox's own table of tokens would be read by nothing, and PostgreSQL cannot flush users beside it.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {"TOKEN_TTL": timedelta(days=365), "TOKEN_MODEL": KNOX_TOKEN_MODEL}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticatedOrReadOnly",
        "leaderboard.api.permissions.TokenScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "leaderboard.api.pagination.Pages",
    "EXCEPTION_HANDLER": "leaderboard.api.errors.handle",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env_text("RATE_ANON", "300/min"),
        "user": env_text("RATE_USER", "1200/min"),
    },
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SparseBoard",
    "DESCRIPTION": "Leaderboards, submissions and their states.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Browser security
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        # plotly.js sets styles on the elements it draws.
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600

# Tables and logs
DJANGO_TABLES2_TEMPLATE = "boards/table.html"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_text("LOG_LEVEL", "INFO")},
    "loggers": {"axes": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
}
