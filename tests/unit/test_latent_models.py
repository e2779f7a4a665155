"""Melodies and pictures through codes: shapes, sizes, and what is heard while training."""

import pytest
import torch
from torch import nn

from toolkit.models import LatentDiscriminator, LatentModel, MeasureVAE, MelodyCNNVAE, SpriteVAE

CHORALE, DMELODIES = {"vocabulary": 40}, {"vocabulary": 52, "beats": 2, "ticks": 8, "hidden": 64, "dropout": 0.2}
TINY = {"vocabulary": 7, "beats": 2, "ticks": 3, "hidden": 5, "latent": 4}


def linear(before, after):
    return before * after + after


def gru(before, hidden, layers, directions=1):
    return sum(
        directions * 3 * (hidden * (hidden if layer == 0 else 0) + hidden * (before if layer == 0 else 0) + 2 * hidden)
        + (directions * 3 * hidden * (hidden + directions * hidden) if layer else 0)
        for layer in range(layers)
    )


def released_rnn(vocabulary, embedding, hidden, layers, latent):
    """Parameters of the released `MeasureVAE` and `DMelodiesVAE`, layer by layer."""
    head = linear(2 * layers * hidden, 2 * hidden) + linear(2 * hidden, latent)
    encoder = vocabulary * embedding + gru(embedding, hidden, layers, 2) + 2 * head
    beats = linear(latent, layers * hidden) + 1 + gru(1, hidden, layers)
    ticks = linear(hidden, layers * hidden) + linear(hidden, hidden) + embedding + gru(embedding + hidden, hidden, layers)
    return encoder + vocabulary * embedding + beats + ticks + linear(hidden, vocabulary)


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def meta(cls, **options):
    with torch.device("meta"):
        return cls(**options)


@pytest.mark.parametrize(("options", "hidden"), [(CHORALE, 128), (DMELODIES, 64)])
def test_the_recurrent_ones_have_the_released_layers(options, hidden):
    assert size(meta(MeasureVAE, **options)) == released_rnn(options["vocabulary"], 10, hidden, 2, 32)


def test_gru_counts_as_pytorch_counts():
    assert gru(10, 64, 2, 2) == size(nn.GRU(10, 64, 2, bidirectional=True))
    assert gru(1, 8, 2) == size(nn.GRU(1, 8, 2))


def test_the_convolutional_one_has_the_released_layers():
    convolutions = [(10, 16), (16, 32), (32, 64), (64, 128)]
    transposed = [(32, 128), (128, 64), (64, 32), (32, 16)]
    expected = 52 * 10 + sum(linear(4 * a, b) for a, b in convolutions) + sum(linear(4 * a, b) for a, b in transposed)
    expected += 2 * (linear(128, 64) + linear(64, 32)) + linear(16, 52)
    assert size(meta(MelodyCNNVAE, vocabulary=52)) == expected  # and 52 more of an embedding without use


def test_the_one_of_sprites_has_the_released_layers():
    encoder = linear(16, 32) + 3 * linear(512, 32) + linear(512, 256) + linear(256, 256) + 2 * linear(256, 10)
    decoder = linear(10, 256) + linear(256, 256) + linear(256, 512) + 3 * linear(512, 32) + linear(512, 1)
    assert size(meta(SpriteVAE)) == encoder + decoder


def test_the_discriminators():
    assert size(meta(LatentDiscriminator, latent=32)) == linear(32, 64) + 2 * linear(64, 64) + linear(64, 2)
    paper = meta(LatentDiscriminator, latent=10, hidden=1000, layers=6)
    assert size(paper) == linear(10, 1000) + 5 * linear(1000, 1000) + linear(1000, 2)
    assert paper(torch.empty(3, 10, device="meta")).shape == (3, 2)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize(
    ("cls", "options", "tokens"), [(MeasureVAE, TINY, 6), (MelodyCNNVAE, {"vocabulary": 7, "latent": 4}, 16)]
)
def test_melodies_go_through_a_code(cls: type[LatentModel], options, tokens, mode):
    torch.manual_seed(0)
    model = cls(**options).train(mode)
    melodies = torch.randint(0, 7, (3, tokens), dtype=torch.uint8)
    logits, latents, posterior = model(melodies)
    assert (logits.shape, latents.shape) == ((3, tokens, 7), (3, 4))
    assert posterior.mean.shape == posterior.log_variance.shape == (3, 4)
    logits.sum().backward()
    assert posterior.mean.requires_grad
    assert model.reconstruct(latents).shape == melodies.shape


def test_pictures_go_through_a_code():
    model = SpriteVAE(channels=2, hidden=4)
    pictures = torch.rand(2, 1, 64, 64)
    logits, latents, _ = model(pictures)
    assert (logits.shape, latents.shape) == (pictures.shape, (2, 10))
    assert 0 <= model.reconstruct(latents).min() <= model.reconstruct(latents).max() <= 1


def test_on_the_meta_device():
    for model, inputs in (
        (meta(MeasureVAE, **TINY), (2, 6)),
        (meta(MelodyCNNVAE, vocabulary=7), (2, 16)),
        (meta(SpriteVAE), (2, 1, 64, 64)),
    ):
        assert model(torch.zeros(inputs, device="meta", dtype=torch.long if len(inputs) == 2 else torch.float)).logits.is_meta


def test_the_first_tick_of_a_beat_hears_the_last_one_of_the_beat_before():
    """All beats at once, given tokens, are what a loop over the ticks makes of them, as the released code has it."""
    torch.manual_seed(0)
    decoder = MeasureVAE(**TINY, teacher_forcing=1.0).eval().decoder
    latents, tokens = torch.randn(3, 4), torch.randint(0, 7, (3, 6))
    beats, heard, expected = decoder.unfold(latents, 2), decoder.first_tick.expand(3, -1), []
    for beat in range(2):
        state = decoder.to_ticks(beats[:, beat]).view(3, 2, 5).transpose(0, 1).contiguous()
        for tick in range(3):
            hidden, state = decoder.tick(torch.cat([heard, decoder.to_input(beats[:, beat])], 1)[:, None], state)
            expected.append(decoder.to_logits(hidden[:, 0]))
            heard = decoder.embedding(tokens[:, 3 * beat + tick])
    torch.testing.assert_close(decoder.given(beats, tokens), torch.stack(expected, 1))


def test_alone_each_tick_hears_what_was_said_before():
    torch.manual_seed(0)
    model = MeasureVAE(**TINY).eval()
    latents = torch.randn(3, 4)
    logits = model.decode(latents)
    beats = model.decoder.unfold(latents, 2)
    torch.testing.assert_close(model.decoder.given(beats, model.items(logits)), logits)


def test_right_tokens_are_heard_in_training_alone():
    torch.manual_seed(0)
    model = MeasureVAE(**TINY, dropout=0.0, teacher_forcing=1.0)
    latents = torch.randn(3, 4)
    wrong = (model.reconstruct(latents) + 1) % 7
    said, given = model.decode(latents), model.decode(latents, wrong)
    assert not torch.allclose(said, given)
    torch.testing.assert_close(model.eval().decode(latents, wrong), said)
    model.train().teacher_forcing = 0.0
    torch.testing.assert_close(model.decode(latents, wrong), said)


def test_codes_are_drawn_with_the_deviation_that_is_told():
    torch.manual_seed(0)
    model = MelodyCNNVAE(vocabulary=7, latent=2)
    mean, deviation = torch.tensor([1.0, -3.0]), torch.tensor([0.5, 2.0])
    drawn = model.sample(
        type(model.encode(torch.zeros(1, 16)))(mean.expand(20_000, -1), 2 * deviation.log().expand(20_000, -1))
    )
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), deviation, atol=0.05, rtol=0)


def test_a_traversal_changes_one_dimension():
    torch.manual_seed(0)
    model = MelodyCNNVAE(vocabulary=7, latent=2).eval()
    code, values = torch.tensor([0.3, -0.2]), torch.linspace(-4, 4, 5)
    expected = torch.cat([model.reconstruct(torch.tensor([[0.3, value]])) for value in values])
    torch.testing.assert_close(model.traverse(code, 1, values), expected)
    assert code.tolist() == pytest.approx([0.3, -0.2])


def test_wrong_sizes_are_told():
    with pytest.raises(ValueError, match=r"melodies: expected shape \(batch, tokens=6\)"):
        MeasureVAE(**TINY).encode(torch.zeros(2, 16))
    with pytest.raises(ValueError, match=r"codes: expected shape \(batch, dimensions=32\)"):
        MelodyCNNVAE(vocabulary=7).decode(torch.zeros(2, 31))
