"""Tokenizer and weights: in the cache, behind the offline switch, or behind a gate."""

import json

import httpx
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import GatedRepoError

from lerobot_plugins.doctor import weights


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty Hub cache; asking the Hub is an error unless a test allows it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    answer(monkeypatch, AssertionError("the Hub was asked"))
    repository = tmp_path / ("models--" + weights.backbone().replace("/", "--"))
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    return snapshot


def answer(monkeypatch, error=None):
    def auth_check(self, repo_id):
        if error is not None:
            raise error

    monkeypatch.setattr(HfApi, "auth_check", auth_check)


def test_cached_files_need_no_network(cache):
    (cache / "tokenizer.json").touch()
    assert weights.check_tokenizer().state == "ok"
    for file in ("config.json", "model.safetensors"):
        (cache / file).touch()
    assert weights.check_weights(online=True).state == "ok"


def test_every_shard_that_the_index_names_must_be_there(cache):
    (cache / "config.json").touch()
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (cache / weights.INDEX).write_text(json.dumps({"weight_map": shards}))
    (cache / "model-1-of-2.safetensors").touch()
    finding = weights.check_weights()
    assert finding.state == "warning"
    assert "(model-2-of-2.safetensors missing)" in finding.detail


def test_without_online_the_hub_is_not_asked():
    finding = weights.check_tokenizer()
    assert finding.state == "warning"
    assert "hf auth login" in finding.do
    assert "--online" in finding.do


def test_offline_mode_is_named_and_respected(monkeypatch):
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    finding = weights.check_tokenizer(online=True)
    assert finding.state == "warning"
    assert "unset HF_HUB_OFFLINE" in finding.do


def test_online_and_allowed(monkeypatch):
    answer(monkeypatch)
    assert weights.check_weights(online=True).state == "ok"


def test_online_and_gated(monkeypatch):
    request = httpx.Request("GET", "https://hub.invalid")
    answer(monkeypatch, GatedRepoError("gated", response=httpx.Response(403, request=request)))
    finding = weights.check_weights(online=True)
    assert finding.state == "problem"
    assert "no access" in finding.detail
    assert "licence" in finding.do


def test_online_and_unreachable(monkeypatch):
    answer(monkeypatch, httpx.ConnectError("Name or service not known"))
    finding = weights.check_weights(online=True)
    assert finding.state == "problem"
    assert "cannot be reached" in finding.detail
