"""Training: configs, data, resuming, and the models that it saves."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import compgen
from compgen.errors import CompgenError, UsageError
from compgen.locks import alone_in

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from compgen.training.config import TrainingConfig
from compgen.training.corpus import Corpus
from tests.conftest import ROOT, Run

CONFIG = """
version = 1
data = ["text", "more.tar.xz"]
held_out = 0.3
[model]
layers = 1
width = 32
heads = 2
kv_heads = 1
head_width = 16
inner_width = 64
context = 32
[training]
steps = 12
batch = 4
warm_up = 2
decay = 4
evaluate_every = 6
save_every = 6
"""


@pytest.fixture
def root(tmp_path: Path, prose: bytes) -> Path:
    """A folder and an archive of text that repeats itself, so that a few steps of training learn something."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_bytes(prose[:400] * 400)
    (tmp_path / "b.txt").write_bytes(prose[:400] * 300)
    with tarfile.open(tmp_path / "more.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "b.txt", "b.txt")
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def test_configs_that_are_shipped_can_be_read() -> None:
    found = sorted((ROOT / "configs").glob("train_*.toml"))
    assert len(found) >= 5
    for path in found:
        TrainingConfig.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("version = 1", "version = 9"), "version = 1"),
        (("layers = 1", "layer = 1"), "did you mean 'layers'"),
        (("layers = 1", ""), "lacks the key 'layers'"),
        (("layers = 1", 'layers = "many"'), "must be a whole number"),
        (("kv_heads = 1", "kv_heads = 3"), "kv_heads"),
        (("steps = 12", "steps = 3"), "warm_up and decay"),
        (("context = 32", "context = 32\nvocabulary = 100"), "256, for bytes"),
        (("held_out = 0.3", "held_out = 3"), "share"),
        (("width = 32", "width ="), "not TOML"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "c.toml").write_text(CONFIG.replace(*change, 1))
    with pytest.raises(UsageError, match=message):
        TrainingConfig.read(tmp_path / "c.toml")


def test_a_corpus_is_all_of_its_sources_and_holds_some_out(root: Path) -> None:
    corpus = Corpus.read(root, ["text", "more.tar.xz"], 0.3)
    assert len(corpus.train) + len(corpus.held_out) == 280_000 // 65_536 * 65_536
    assert len(corpus.held_out) == 65_536
    again = Corpus.read(root, ["text", "more.tar.xz"], 0.3)
    assert np.array_equal(corpus.held_out, again.held_out)
    assert corpus.digest == again.digest
    with pytest.raises(UsageError, match="there is no"):
        Corpus.read(root, ["nothing.txt"], 0.3)
    with pytest.raises(UsageError, match="too few"):
        Corpus.read(root, ["c.toml"], 0.3)


@pytest.mark.filterwarnings("ignore::compgen.errors.LossWarning")
def test_pictures_and_sound_are_read_as_samples(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "both").mkdir()
    gray = np.random.default_rng(1).integers(256, size=(400, 400), dtype=np.uint8)
    image.fromarray(gray).save(tmp_path / "both/a.png")
    soundfile.write(tmp_path / "both/b.wav", np.zeros(60_000), 16_000)
    corpus = Corpus.read(tmp_path, ["both"], 0.3)
    whole = gray.tobytes() + b"\x80" * 60_000
    blocks = np.concatenate([corpus.held_out, corpus.train]).reshape(-1, 65_536)
    assert sorted(b.tobytes() for b in blocks) == sorted(whole[i : i + 65_536] for i in range(0, 196_608, 65_536))
    (tmp_path / "both/c.png").write_bytes((tmp_path / "both/a.png").read_bytes()[:500])
    with pytest.raises(UsageError, match=r"c\.png' cannot be trained on: the PNG file is cut short"):
        Corpus.read(tmp_path, ["both"], 0.3)
    (tmp_path / "both/c.png").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0")
    with pytest.raises(UsageError, match=r"c\.png' cannot be trained on: gzip is neither text .* leave it out"):
        Corpus.read(tmp_path, ["both"], 0.3)


def test_training_makes_a_model_and_resumes(root: Path, cgn: Run, prose: bytes) -> None:
    done = cgn("train", str(root / "c.toml"), "-o", str(root / "out"), COMPGEN_DATA=str(root))
    assert done.returncode == 0, done.stderr.decode()
    assert b"held out" in done.stderr
    spec = f"llm:{root / 'out'}"
    first = compgen.score(spec, prose[:200]).derived_bpb
    assert first < 7.9, "twelve steps are enough to leave 8 bits"
    blob = compgen.compress(prose[:200], spec)
    assert compgen.decompress(blob, spec) == prose[:200]
    assert "bits per byte" in (root / "out/README.md").read_text()
    (root / "c.toml").write_text(CONFIG.replace("steps = 12", "steps = 18"))
    more = cgn("train", str(root / "c.toml"), "-o", str(root / "out"), COMPGEN_DATA=str(root))
    assert more.returncode == 0, more.stderr.decode()
    assert b"going on from" in more.stderr
    assert b"step 18" in more.stderr
    assert b"step 6:" not in more.stderr, "what was done is not done again"


def test_processes_of_torchrun_share_a_batch_and_one_goes_on_alone(root: Path, cgn: Run) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "compgen"]
    train = ["train", str(root / "c.toml"), "-o"]
    environment = {**os.environ, "COMPGEN_DATA": str(root), "OMP_NUM_THREADS": "1"}
    two = subprocess.run(
        [*launch, *train, str(root / "two")], capture_output=True, check=False, timeout=120, env=environment
    )
    one = cgn(*train, str(root / "one"), COMPGEN_DATA=str(root))
    (root / "c.toml").write_text(CONFIG.replace("steps = 12", "steps = 18"))
    alone = cgn(*train, str(root / "two"), COMPGEN_DATA=str(root))
    for done, last in ((two, b"step 12 of 12"), (one, b"step 12 of 12"), (alone, b"step 18 of 18")):
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr.count(last) == 1, "one process speaks"
    rates = [float(done.stdout.rpartition(b": ")[2].split()[0]) for done in (two, one, alone)]
    assert rates[0] == pytest.approx(rates[1], abs=0.01), "the same windows in each step"
    assert rates[2] < rates[0]
    assert b"going on from" in alone.stderr
    assert b"step 6:" not in alone.stderr


def test_a_batch_that_processes_cannot_share(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compgen.training.train import train

    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="multiple of the 3 processes or GPUs, not 4"):
        train(TrainingConfig.read(root / "c.toml"), root, root / "out", print)


def test_training_begins_with_given_weights(root: Path, cgn: Run) -> None:
    plan = CONFIG.replace("steps = 12", "steps = 1\nlearning_rate = 1e-9").replace(
        "warm_up = 2\ndecay = 4", "warm_up = 0"
    )
    (root / "c.toml").write_text(CONFIG)
    first = cgn("train", str(root / "c.toml"), "-o", str(root / "out"), COMPGEN_DATA=str(root))
    plan = plan.replace("held_out = 0.3", 'held_out = 0.3\ninitial = "out"')
    (root / "d.toml").write_text(plan)
    second = cgn("train", str(root / "d.toml"), "-o", str(root / "more"), COMPGEN_DATA=str(root))
    rates = [float(done.stdout.split(b": ")[1].split()[0]) for done in (first, second)]
    assert rates[1] == pytest.approx(rates[0], abs=0.01), "a step of no size changes nothing"
    for changed in (plan.replace("width = 32", "width = 64"), plan.replace("inner_width = 64", "inner_width = 48")):
        (root / "d.toml").write_text(changed)
        other = cgn("train", str(root / "d.toml"), "-o", str(root / "none"), COMPGEN_DATA=str(root))
        assert other.returncode == 2
        assert b"no weights of this architecture" in other.stderr


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
def test_a_batch_of_more_windows_than_are_measured(root: Path) -> None:
    from compgen.training.train import train

    small = CONFIG.replace("steps = 12", "steps = 1").replace("batch = 4", "batch = 130")
    (root / "d.toml").write_text(small.replace("warm_up = 2\ndecay = 4", "warm_up = 0"))
    assert 1 < train(TrainingConfig.read(root / "d.toml"), root, root / "large", print) < 20


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
def test_checkpoints_that_are_not_whole_or_not_ours(root: Path) -> None:
    from compgen.training.train import train

    plan = TrainingConfig.read(root / "c.toml")
    train(plan, root, root / "out", print)
    said: list[str] = []
    state = root / "out/checkpoints/checkpoint-12/trainer_state.json"  # the file that the trainer writes last
    state.write_bytes(state.read_bytes()[:100])
    train(plan, root, root / "out", said.append)
    assert f"going on from {root}/out/checkpoints/checkpoint-6" in said
    said.clear()
    state.unlink()
    train(plan, root, root / "out", said.append)
    assert f"going on from {root}/out/checkpoints/checkpoint-6" in said
    with pytest.raises(UsageError, match="another network"):
        train(dataclasses.replace(plan, model=dataclasses.replace(plan.model, width=64)), root, root / "out", print)
    with alone_in(root / "out"), pytest.raises(CompgenError, match="out' is in use"):
        train(plan, root, root / "out", print)


def test_a_damaged_archive_is_said(root: Path) -> None:
    archive = root / "more.tar.xz"
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(UsageError, match="is damaged"):
        Corpus.read(root, ["more.tar.xz"], 0.1)


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
def test_what_is_added_to_gated_units_and_context_begins_without_effect(tmp_path: Path) -> None:
    import torch

    from compgen.training.train import network

    given = TrainingConfig.read(ROOT / "configs/train_paper_200k.toml").model
    narrow = network(given)
    narrow.save_pretrained(tmp_path)
    more = dataclasses.replace(given, inner_width=given.inner_width + 8, context=2 * given.context)
    wide = network(more, initial=str(tmp_path))
    assert wide.config.max_position_embeddings == 2 * given.context + 1
    symbols = torch.arange(40)[None]
    logits = [net.double()(input_ids=symbols).logits for net in (narrow, wide)]
    torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=1e-12)
    logits[1].square().sum().backward()
    for layer in wide.model.layers:
        assert (layer.mlp.down_proj.weight.grad[:, -8:] != 0).any(), "it learns"


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
def test_a_share_of_the_first_weights_is_in_what_is_saved(root: Path) -> None:
    from safetensors.torch import load_file

    from compgen.training.train import train

    train(TrainingConfig.read(root / "c.toml"), root, root / "first", print)
    saved = {}
    for share in (0.0, 0.25):
        begin = f'held_out = 0.3\ninitial = "first"\ninitial_share = {share}'
        (root / "d.toml").write_text(CONFIG.replace("held_out = 0.3", begin))
        rate = train(TrainingConfig.read(root / "d.toml"), root, root / f"{share}", print)
        saved[share] = load_file(root / f"{share}/model.safetensors")
        card = (root / f"{share}/README.md").read_text()
        assert f"{rate:.4f}" in card
        assert ("0.25 of the mean" in card) == (share == 0.25)
    first = load_file(root / "first/model.safetensors")
    for name, mean in saved[0.25].items():
        expected = 0.75 * saved[0.0][name].float() + 0.25 * first[name].float()
        np.testing.assert_allclose(mean.float(), expected, atol=2**-7 * expected.abs().max().item())
    assert any((saved[0.0][name] != first[name]).float().mean() > 0.9 for name in first), "the training moved them"


def test_a_share_needs_weights_to_share() -> None:
    config = TrainingConfig.read(ROOT / "configs/train_paper_200k.toml")
    for wrong in (
        {"initial_share": 0.5},
        {"initial": "x", "initial_share": 1.0},
        {"initial": "x", "initial_share": -0.1},
    ):
        with pytest.raises(UsageError, match="initial_share"):
            dataclasses.replace(config, **wrong)


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
@pytest.mark.parametrize("vocabulary", [256, 280])
def test_a_training_that_was_stopped_comes_to_the_same_weights(
    tmp_path: Path, prose: bytes, monkeypatch: pytest.MonkeyPatch, vocabulary: int
) -> None:
    from compgen.training import train
    from compgen.training.config import Architecture, Budget

    model = Architecture(
        layers=1, width=16, heads=2, kv_heads=1, head_width=8, inner_width=24, context=32, vocabulary=vocabulary
    )

    def weights(name: str) -> bytes:
        budget = Budget(bytes=2560, batch=4)
        train.fit_alone(model, budget, 3, prose[:3000], prose[3000:4000], tmp_path / name, "prose")
        return (tmp_path / name / "model.safetensors").read_bytes()

    def stop(*arguments: object, **rest: object) -> None:
        if arguments[2].global_step == 11:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    whole = weights("whole")
    monkeypatch.setattr(train._Log, "on_step_end", stop)
    with pytest.raises(KeyboardInterrupt):
        weights("stopped")
    assert (tmp_path / "stopped/checkpoints").is_dir()
    monkeypatch.undo()
    assert weights("stopped") == whole


@pytest.mark.filterwarnings("ignore")  # of torch and transformers, at import
def test_attention_in_blocks_is_attention() -> None:
    import torch

    from compgen.training.attention import causal_blocks

    generator = torch.Generator().manual_seed(1)
    query = torch.randn(2, 4, 300, 8, generator=generator, requires_grad=True)
    key, value = (torch.randn(2, 2, 300, 8, generator=generator, requires_grad=True) for _ in range(2))
    sought = torch.randn(2, 300, 4, 8, generator=generator)
    ours, _ = causal_blocks(torch.nn.Identity(), query, key, value, None, 8**-0.5)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))
    gradients = (torch.autograd.grad((x * sought).sum(), (query, key, value)) for x in (ours, theirs.transpose(1, 2)))
    for mine, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)


def test_a_missing_config_is_one_line(cgn: Run, tmp_path: Path) -> None:
    done = cgn("train", str(tmp_path / "none.toml"), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "out").exists()
