from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hosts", "0001_initial")]

    operations = [
        migrations.RenameField("calibration", "p50_ms", "times_ms"),
        migrations.AlterField(
            "calibration",
            "times_ms",
            models.JSONField(
                default=dict, help_text="Reference, device, threads, precision and statistic to milliseconds."
            ),
        ),
    ]
