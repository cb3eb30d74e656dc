"""Models of a few thousand random parameters, and systems made of them."""

from evaluations.datasets import Checksums, Dataset, Documents
from evaluations.progress import Progress
from evaluations.sparsity.sweeps import LoadedSubject
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system

WORDS = ("wing", "swept", "lift", "heat", "layer", "boundary", "flow", "of", "a", "plate", "flat", "transfer")
DOCUMENTS = {
    "d1": "lift of a swept wing",
    "d2": "boundary layer flow of a flat plate",
    "d3": "heat transfer",
    "d4": "lift of a swept wing",
    "d5": "",
    "d6": "heat of a boundary layer",
}
QUERIES = {"q1": "swept wing lift", "q2": "boundary layer heat transfer of a flat plate"}
QRELS = {"q1": {"d1": 1, "d4": 2}, "q2": {"d2": 1, "d6": 1}}
RUNTIME = Runtime(device="cpu", threads=1)


def dataset():
    documents = Documents(list(DOCUMENTS), list(DOCUMENTS.values()))
    return Dataset(
        name="tiny", split="test", documents=documents, document_ids=None, queries=QUERIES, qrels=QRELS,
        self_hits="keep", checksums=Checksums("c", "q", "r"),
    )  # fmt: skip


def bert(*, seed=0, layers=2, **config):
    """An encoder with 16 hidden dimensions; in evaluation mode."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(WORDS) + 5, "hidden_size": 16, "num_hidden_layers": layers,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
        "initializer_range": 0.5,
    }  # fmt: skip
    return BertModel(BertConfig(**{**settings, **config}), add_pooling_layer=False).eval()


def mixtral(*, routed=2, seed=0):
    """Two layers of four experts, 16 hidden dimensions and 12 inner ones."""
    import torch
    from transformers import MixtralConfig, MixtralModel

    torch.manual_seed(seed)
    config = MixtralConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=12, num_local_experts=4, num_experts_per_tok=routed,
        max_position_embeddings=64, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    return MixtralModel(config).eval()


def saved(model, folder):
    """A sentence-transformers model with mean pooling and the cosine, as a submitter would save it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertTokenizer

    plain = folder / "plain"
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    model.save_pretrained(plain)
    BertTokenizer(str(plain / "vocab.txt")).save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=32)
    whole = SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension())], device="cpu"
    )
    whole.save(str(folder / "model"), safe_serialization=True)
    return folder / "model"


def subject(folder, kind="dense"):
    """The system loaded and run over the dataset."""
    spec = parse_system(f"{kind}:{folder}")
    system = KINDS[kind].load(spec, RUNTIME)
    system.index(dataset().documents, Progress())
    system.retrieve(QUERIES, 10, Progress())
    return LoadedSubject(system, spec, lambda other: KINDS[kind].load(other, RUNTIME))
