"""A person's profile, and the making of tokens."""

from django import forms

from leaderboard.accounts.models import AuthToken, User


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("organisation",)
        help_texts = {
            "organisation": "A company, a university or none; the operator sees it, the boards do not."
        }


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = AuthToken
        fields = ("name", "scope")
        widgets = {"scope": forms.RadioSelect}
        help_texts = {
            "name": "Where it will be used, such as “laptop” or “nightly script”, so that you know it later.",
            "scope": "What a program that holds it may do in your name.",
        }

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.fields["name"].initial = ""
