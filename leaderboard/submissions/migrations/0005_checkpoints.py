import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('submissions', '0004_sweeps'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubmissionCheckpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('checkpoint', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='checkpoint_of', to='submissions.submission')),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='checkpoints', to='submissions.submission')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('submission'), models.F('checkpoint'), name='submission_checkpoint_once')],
            },
        ),
    ]
