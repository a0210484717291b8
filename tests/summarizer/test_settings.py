"""Settings: the environment, read once, refused in one sentence where it is wrong."""

import dataclasses

import pytest

from summarizer.settings import Settings, SettingsError, read_settings


def test_an_empty_environment_serves_the_embedded_model_on_this_machine_alone():
    settings = read_settings({})
    assert settings == Settings()
    assert settings.backbone == "models/base"
    assert settings.adapters == {
        "radiology": "models/radiology",
        "dialogue": "models/dialogue",
        "question": "models/question",
    }
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert not settings.on_space


def test_settings_cannot_be_changed_after_they_are_read():
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_settings({}).port = 1


def test_on_a_space_the_page_listens_to_the_world():
    settings = read_settings({"SPACE_ID": "owner/name"})
    assert (settings.host, settings.on_space) == ("0.0.0.0", True)
    assert read_settings({"SPACE_ID": "a/b", "SUMMARIZER_HOST": "::1"}).host == "::1"


def test_another_backbone_comes_with_the_adapters_that_are_named_and_no_others():
    settings = read_settings(
        {
            "SUMMARIZER_BACKBONE": "google/flan-t5-base",
            "SUMMARIZER_ADAPTER_DIALOGUE": "owner/notes@v1",
        }
    )
    assert settings.adapters == {"dialogue": "owner/notes@v1"}
    with pytest.raises(SettingsError, match="google/flan-t5-base"):
        read_settings({"SUMMARIZER_BACKBONE": "google/flan-t5-base"})


def test_a_task_can_be_left_out():
    settings = read_settings({"SUMMARIZER_ADAPTER_QUESTION": "none"})
    assert list(settings.adapters) == ["radiology", "dialogue"]


def test_values_are_read():
    settings = read_settings(
        {
            "SUMMARIZER_DEVICE": " CPU ",
            "SUMMARIZER_DTYPE": "bfloat16",
            "SUMMARIZER_THREADS": "2",
            "SUMMARIZER_PORT": "8080",
            "SUMMARIZER_QUEUE": "4",
            "SUMMARIZER_HOST": "",
        }
    )
    assert (settings.device, settings.dtype, settings.threads) == ("cpu", "bfloat16", 2)
    assert (settings.port, settings.queue, settings.host) == (8080, 4, "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUMMARIZER_DEVICE", "tpu"),
        ("SUMMARIZER_DTYPE", "float16"),
        ("SUMMARIZER_THREADS", "two"),
        ("SUMMARIZER_THREADS", "-1"),
        ("SUMMARIZER_PORT", "0"),
        ("SUMMARIZER_PORT", "65536"),
        ("SUMMARIZER_PORT", "²"),
        ("SUMMARIZER_QUEUE", "0"),
        ("SUMMARIZER_ADAPTER_CARDIOLOGY", "models/radiology"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_it(name, value):
    with pytest.raises(SettingsError, match=name) as refused:
        read_settings({name: value})
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_misspelt_setting_is_told_instead_of_ignored():
    with pytest.raises(SettingsError, match="SUMMARIZER_BACKBON: did you mean SUMMARIZER_BACKBONE"):
        read_settings({"SUMMARIZER_BACKBON": "google/flan-t5-base"})
    with pytest.raises(SettingsError, match="SUMMARIZER_XYZZY: there are SUMMARIZER_BACKBONE, "):
        read_settings({"SUMMARIZER_XYZZY": "1"})
