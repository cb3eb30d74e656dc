from django.apps import AppConfig


class HostsConfig(AppConfig):
    name = "leaderboard.hosts"
    verbose_name = "Machines that measure"
