"""The peers of the bench of encoding, each called as its own documentation calls it.

`python -m tests.benchmarks.encoding_peers NAME DATA MODEL OUT` is one cold process, from the folders of a
collection and a model to metrics; OUT gets nDCG@10 as JSON.
"""

import csv
import json
import sys
from pathlib import Path


def beir(data: Path, model: Path) -> float:
    """The quick example of its README, with the model's folder and cosine."""
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval import models
    from beir.retrieval.evaluation import EvaluateRetrieval
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    corpus, queries, qrels = GenericDataLoader(data_folder=str(data)).load(split="test")
    searcher = DenseRetrievalExactSearch(models.SentenceBERT(str(model)), batch_size=16)
    retriever = EvaluateRetrieval(searcher, score_function="cos_sim")
    results = retriever.retrieve(corpus, queries)
    ndcg, *_ = retriever.evaluate(qrels, results, retriever.k_values)
    return ndcg["NDCG@10"]


def mteb(data: Path, model: Path) -> float:
    """`mteb.evaluate` over a task of the folder, since its own would be fetched from a hub."""
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import SentenceTransformer

    class Local(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="LocalSciFact", dataset={"path": str(data), "revision": "local"}, type="Retrieval",
            description="The folder.", reference=None, category="t2t", modalities=["text"],
            eval_splits=["test"], eval_langs=["eng-Latn"], main_score="ndcg_at_10",
            date=None, domains=None, task_subtypes=None, license=None, annotations_creators=None,
            dialect=None, sample_creation=None, bibtex_citation="",
        )  # fmt: skip

        def load_data(self, **_):
            qrels = _qrels(data)
            documents = [
                {"id": each["_id"], "title": each["title"], "text": each["text"]}
                for each in _lines(data / "corpus.jsonl")
            ]
            queries = [
                {"id": each["_id"], "text": each["text"]}
                for each in _lines(data / "queries.jsonl")
                if each["_id"] in qrels
            ]
            split = {
                "corpus": Dataset.from_list(documents),
                "queries": Dataset.from_list(queries),
                "relevant_docs": qrels,
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    found = mteb.evaluate(SentenceTransformer(str(model)), Local(), cache=None, co2_tracker=False)
    return found.task_results[0].scores["test"][0]["ndcg_at_10"]


def plain(data: Path, model: Path) -> float:
    """sentence-transformers alone: encode, one product, topk, pytrec_eval."""
    import pytrec_eval
    from sentence_transformers import SentenceTransformer

    encoder, qrels = SentenceTransformer(str(model)), _qrels(data)
    corpus = _lines(data / "corpus.jsonl")
    queries = [each for each in _lines(data / "queries.jsonl") if each["_id"] in qrels]
    texts = [f"{each['title']} {each['text']}".strip() for each in corpus]
    documents = encoder.encode_document(texts, convert_to_tensor=True, normalize_embeddings=True)
    asked = encoder.encode_query(
        [each["text"] for each in queries], convert_to_tensor=True, normalize_embeddings=True
    )
    best = (asked @ documents.T).topk(min(1000, len(corpus)))
    run = {
        query["_id"]: {corpus[row]["_id"]: score for row, score in zip(rows, scores, strict=True)}
        for query, rows, scores in zip(queries, best.indices.tolist(), best.values.tolist(), strict=True)
    }
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(run)
    return sum(each["ndcg_cut_10"] for each in found.values()) / len(qrels)


PEERS = {"beir": beir, "mteb": mteb, "plain": plain}


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _qrels(data: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    with (data / "qrels" / "test.tsv").open() as stream:
        for query, document, grade in list(csv.reader(stream, delimiter="\t"))[1:]:
            qrels.setdefault(query, {})[document] = int(grade)
    return qrels


if __name__ == "__main__":
    name, data, model, out = sys.argv[1:]
    Path(out).write_text(json.dumps(PEERS[name](Path(data), Path(model))))
