from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hosts", "0002_times")]

    operations = [
        migrations.AddField(
            "calibration",
            "versions",
            models.JSONField(
                default=dict, help_text="Of what decides the times: it counts where all of these are in use."
            ),
        ),
        migrations.AddField(
            "calibration",
            "jumps",
            models.JSONField(
                default=dict, help_text="Times far from the median so far: that median, milliseconds."
            ),
        ),
    ]
