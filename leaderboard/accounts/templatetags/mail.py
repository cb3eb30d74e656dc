"""Whether this site can send e-mail, for pages that would otherwise promise one."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def sends_mail() -> bool:
    return bool(settings.EMAIL_HOST)
