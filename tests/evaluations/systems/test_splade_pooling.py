"""Pooling with the maximum first, against the library's pooling on the same logits."""

import pytest


@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("padding", ["right", "left", "between", "everywhere"])
def test_it_gives_the_librarys_numbers_whatever_is_padding(activation, padding):
    import torch
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from evaluations.systems.splade_pooling import GreatestFirst

    logits = torch.randn(3, 7, 50, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[
        1,
        {"right": slice(4, 7), "left": slice(0, 3), "between": slice(2, 5), "everywhere": slice(0, 7)}[
            padding
        ],
    ] = 0
    library = SpladePooling("max", activation).eval()
    features = {"token_embeddings": logits, "attention_mask": mask}
    expected = library({**features, "token_embeddings": logits.clone()})["sentence_embedding"]
    found = GreatestFirst(library)(features)["sentence_embedding"]
    assert found == pytest.approx(expected, rel=1e-6)
    assert (found != 0).equal(expected != 0)


def test_it_takes_the_place_of_pooling_by_maximum_alone():
    import torch
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from evaluations.systems.splade_pooling import GreatestFirst, take_greatest_first

    inner = Router.for_query_document([torch.nn.Identity(), SpladePooling("max")], [SpladePooling("sum")])
    model = torch.nn.Sequential(inner, SpladePooling("max"))
    take_greatest_first(model)
    kinds = [
        type(module) for module in (inner.sub_modules["query"][1], inner.sub_modules["document"][0], model[1])
    ]
    assert kinds == [GreatestFirst, SpladePooling, GreatestFirst]
