"""Sparse encoders in each form that a submitter's folder may have, all made of tiny_bert."""

import json
import shutil
from types import SimpleNamespace

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_bert
from tests.evaluations.systems.tiny_bert import SIZE, term

DOCUMENTS = {
    "d1": "swept wing",
    "d2": "boundary layer",
    "d3": "heat flow",
    "d4": "swept wing",
    "d5": "",
    "d6": "lift of a plate",
}
IDF = {"wing": 3.0, "lift": 2.5, "heat": 2.0, "flow": 1.0, "[SEP]": 9.0, "elsewhere": 4.0}


def loaded(folder, *settings, documents=DOCUMENTS):
    spec = parse_system(f"sparse:{folder}", settings)
    system = KINDS["sparse"].load(spec, Runtime(device="cpu", threads=1))
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def one_of_each_form(root):
    """A folder of each form, saved by sentence-transformers as a submitter would."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import (
        SparseAutoEncoder,
        SparseStaticEmbedding,
        SpladePooling,
    )

    torch.set_num_threads(1)
    plain, headless = tiny_bert.masked_lm(root / "plain"), tiny_bert.backbone(root / "headless")

    def transformer():
        return Transformer(str(plain), transformer_task="fill-mask")

    def saved(name, modules, **settings):
        model = SparseEncoder(modules=modules, device="cpu", **settings)
        model.save_pretrained(str(root / name))
        return root / name

    def static():
        first = transformer()
        weight = torch.zeros(SIZE)
        weight[term("wing")], weight[term("lift")] = 3.0, 2.5
        queries = SparseStaticEmbedding(first.tokenizer, weight=weight, frozen=True)
        return Router.for_query_document([queries], [first, SpladePooling("max", "log1p_relu")])

    def autoencoder():
        backbone = Transformer(str(headless))
        module = SparseAutoEncoder(input_dim=SIZE, hidden_dim=24, k=2)
        with torch.no_grad():
            module.encoder.weight.zero_()
            module.encoder.weight[:SIZE] = torch.eye(SIZE)
            module.pre_bias.fill_(-0.25)
            module.latent_bias.fill_(-0.5)
        return [backbone, Pooling(SIZE, "mean"), module]

    with_idf = shutil.copytree(plain, root / "idf")
    (with_idf / "idf.json").write_text(json.dumps(IDF))
    return SimpleNamespace(
        plain=plain,
        headless=headless,
        idf=with_idf,
        siamese=saved(
            "siamese", [transformer(), SpladePooling("max")], prompts={"query": "query ", "document": ""}
        ),
        router=saved("router", [static()]),
        autoencoder=saved("autoencoder", autoencoder()),
    )
