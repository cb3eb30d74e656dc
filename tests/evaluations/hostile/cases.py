"""The table: what is sent, and the code it must be refused with. Each case writes into a folder of its own.

A case is `make(folder, canary)`, which returns what is to be checked; code that runs would make the canary.
"""

import io
import json
import os
import pickle
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.evaluations.hostile import forging as f

Make = Callable[[Path, Path], Path]


@dataclass(frozen=True)
class Case:
    """`how`: as a model archive, a model's folder, an archive of vectors, or a folder of them."""

    name: str
    code: str
    how: Literal["archive", "folder", "vectors-archive", "vectors"]
    make: Make


def packed(name: str, code: str, content, how="archive") -> Case:
    """An archive; `content` bytes, or made from folder and canary."""

    def make(folder: Path, canary: Path) -> Path:
        path = folder / "sent.archive"
        path.write_bytes(content(folder, canary) if callable(content) else content)
        return path

    return Case(name, code, how, make)


def model(name: str, code: str, **changed) -> Case:
    """A right model with these files changed or added; a value may be made from the canary."""

    def make(folder: Path, canary: Path) -> Path:
        files = {
            key: value(canary) if callable(value) else value for key, value in changed.pop("files").items()
        }
        return f.write(folder / "model", {**f.MODEL, **files})

    return Case(name, code, "folder", make)


def without_weights(files) -> Make:
    def make(folder: Path, canary: Path) -> Path:
        there = {key: value(canary) if callable(value) else value for key, value in files.items()}
        return f.write(folder / "model", {"config.json": f.CONFIG, **there})

    return make


def vectors(name: str, code: str, files) -> Case:
    return Case(name, code, "vectors", lambda folder, _: f.write(folder / "vectors", {**f.VECTORS, **files}))


def linked(target: str, at="model.safetensors") -> Make:
    def make(folder: Path, canary: Path) -> Path:
        made = f.write(folder / "model", f.MODEL)
        (made / at).unlink(missing_ok=True)
        (made / at).symlink_to(target)
        return made

    return make


def sharded(weight_map, **files) -> Make:
    """Weights by an index and nothing else; what other files hold may be made from the canary."""
    index = {"model.safetensors.index.json": {"metadata": {}, "weight_map": weight_map}}
    return without_weights({**index, "decoy.safetensors": f.WEIGHTS, **files})


def linked_folder(folder: Path, canary: Path) -> Path:
    made = f.write(folder / "model", {**f.MODEL, "modules.json": f.MODULES, ".more/a.json": b"{}"})
    (made / "1_Pooling").symlink_to(".more")
    return made


def fifo(folder: Path, canary: Path) -> Path:
    made = f.write(folder / "model", f.MODEL)
    os.mkfifo(made / "vocab.txt")
    return made


def zip_entry(name, mode=0, content=b"x"):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return {**f.MODEL, info: content}


def config(**changed) -> bytes:
    return json.dumps({**json.loads(f.CONFIG), **changed}).encode()


def pickled(canary: Path) -> bytes:
    return pickle.dumps(f.Pickled(canary))


RIGHT_ZIP = f.zipped(f.MODEL, zipfile.ZIP_STORED)
RIGHT_TAR = f.tarred(f.MODEL)
ONE = f.header(b"config.json", 2) + f.padded(b"{}")


def overlapping() -> bytes:
    """Two entries of the directory whose bytes are the same: the quine of zip bombs."""
    content = f.zipped({"config.json": b"{}", "tokenizer.json": b"{}"}, zipfile.ZIP_STORED)
    return f.patched(content, f.CENTRAL, 42, "<I", 0, which=-1)


ARCHIVES = [
    # Names
    packed("zip: absolute name", "ARCHIVE-NAME", lambda d, _: f.zipped({f"{d}/outside/config.json": b"{}"})),
    packed("zip: name with ..", "ARCHIVE-NAME", f.zipped({"../outside/config.json": b"{}"})),
    packed("zip: .. in the middle", "ARCHIVE-NAME", f.zipped({"model/../../outside/config.json": b"{}"})),
    packed("zip: backslashes", "ARCHIVE-NAME", f.zipped({"..\\outside\\config.json": b"{}"})),
    packed("zip: a drive", "ARCHIVE-NAME", f.zipped({"C:config.json": b"{}"})),
    packed("zip: NUL in a name", "ARCHIVE-NAME",
           f.renamed(f.zipped({"config.json_evil": b"{}"}), b"config.json_evil", b"config.json\0evil")),
    packed("zip: names that differ in case", "ARCHIVE-NAME",
           f.zipped({"Config.json": b"{}", "config.json": b"{}"})),
    packed("zip: names that differ in accents", "ARCHIVE-NAME",
           f.zipped({"caf\u00e9.json": b"{}", "cafe\u0301.json": b"{}"})),
    packed("zip: a name twice", "ARCHIVE-NAME",
           f.renamed(f.zipped({"config.json": b"{}", "konfig.json": b"{}"}), b"konfig", b"config")),
    packed("zip: a file that is a folder too", "ARCHIVE-NAME",
           f.zipped({"a.json": b"{}", "a.json/b.json": b"{}"})),
    packed("zip: a name of 300 bytes", "ARCHIVE-NAME", f.zipped({"n" * 300 + ".json": b"{}"})),
    packed("zip: folders without end", "ARCHIVE-NAME", f.zipped({"a/" * 200 + "b.json": b"{}"})),
    packed("zip: a name that is not UTF-8", "ARCHIVE-NAME",
           f.renamed(f.zipped({"caXX.json": b"{}"}), b"caXX", b"ca\xff\xfe")),
    packed("tar: absolute name", "ARCHIVE-NAME",
           lambda d, _: f.tarred({f"{d}/outside/config.json": b"{}"})),
    packed("tar: name with ..", "ARCHIVE-NAME", f.tarred({"../outside/config.json": b"{}"})),
    packed("tar: a name twice", "ARCHIVE-NAME", ONE + ONE + f.TAR_END),
    packed("tar: a name that is not UTF-8", "ARCHIVE-NAME", f.header(b"\xff\xfe.json", 0) + f.TAR_END),
    packed("tar: pax header that names a place outside", "ARCHIVE-NAME",
           f.pax(path=b"../outside/config.json") + ONE + f.TAR_END),
    packed("tar: GNU long name that leads outside", "ARCHIVE-NAME",
           f.header(b"././@LongLink", 23, b"L") + f.padded(b"../outside/config.json\0") + ONE + f.TAR_END),
    # Links and devices
    packed("zip: symbolic link", "ARCHIVE-LINK",
           f.zipped(zip_entry("vocab.txt", stat.S_IFLNK | 0o777, b"/etc/passwd"))),
    packed("zip: device", "ARCHIVE-LINK", f.zipped(zip_entry("vocab.txt", stat.S_IFCHR | 0o666))),
    packed("tar: symbolic link", "ARCHIVE-LINK",
           f.tarred({"l": f.special("vocab.txt", tarfile.SYMTYPE, "/etc/passwd"), **f.MODEL})),
    packed("tar: link to a folder outside, and a file through it", "ARCHIVE-LINK",
           f.tarred({"l": f.special("out", tarfile.SYMTYPE, ".."), "out/config.json": b"{}"})),
    packed("tar: hard link", "ARCHIVE-LINK",
           f.tarred({**f.MODEL, "l": f.special("vocab.txt", tarfile.LNKTYPE, "config.json")})),
    packed("tar: device", "ARCHIVE-LINK", f.tarred({"d": f.special("vocab.txt", tarfile.CHRTYPE)})),
    packed("tar: fifo", "ARCHIVE-LINK", f.tarred({"d": f.special("vocab.txt", tarfile.FIFOTYPE)})),
    # Sizes
    packed("zip: too many members", "ARCHIVE-SIZE", f.zipped({f"{n}.json": b"" for n in range(2001)})),
    packed("zip: a directory of gigabytes", "ARCHIVE-SIZE", f.patched(RIGHT_ZIP, f.END, 12, "<I", 2**31)),
    packed("tar: too many members", "ARCHIVE-SIZE",
           b"".join(f.header(b"%d.json" % n, 0) for n in range(2001)) + f.TAR_END),
    packed("zip: a bomb", "ARCHIVE-RATIO",
           lambda *_: f.zipped({**f.MODEL, "tokenizer.json": b"\0" * (80 * 2**20)})),
    packed("zip: a bomb whose directory says one byte", "DAMAGED",
           lambda *_: f.patched(f.zipped({"tokenizer.json": b"\0" * (80 * 2**20)}), f.CENTRAL, 24, "<I", 1)),
    packed("tar.gz: a bomb", "ARCHIVE-RATIO", lambda *_: f.tar_bomb(80 * 2**20)),
    packed("tar.gz: a bomb in what is passed over", "ARCHIVE-RATIO",
           lambda *_: f.gzipped(f.header(b"notes.rst", 2**30)) + f.bomb(80 * 2**20)),
    packed("tar: an extended header of gigabytes", "ARCHIVE-SIZE", f.header(b"pax", 2**31, b"x") + f.TAR_END),
    packed("tar.gz: zeros without end behind the end", "ARCHIVE-RATIO",
           lambda *_: f.gzipped(ONE + f.TAR_END) + f.bomb(80 * 2**20)),
    # What can be read in two ways
    packed("zip: encrypted", "ARCHIVE-ENCRYPTED",
           f.patched(f.patched(RIGHT_ZIP, f.LOCAL, 6, "<H", 1), f.CENTRAL, 8, "<H", 1)),
    packed("zip: packed by LZMA", "ARCHIVE-FORMAT", f.zipped(f.MODEL, zipfile.ZIP_LZMA)),
    packed("zip: overlapping members", "ARCHIVE-OVERLAP", overlapping()),
    packed("zip: another name in the member's own record", "ARCHIVE-DAMAGED",
           f.patched(RIGHT_ZIP, f.LOCAL, 30, "<B", ord("k"))),
    packed("zip: another sum than the content's", "ARCHIVE-DAMAGED",
           f.patched(f.patched(RIGHT_ZIP, f.LOCAL, 14, "<I", 7), f.CENTRAL, 16, "<I", 7)),
    packed("zip: behind other content", "ARCHIVE-FORMAT", b"#!/bin/sh\nexit 0\n" + RIGHT_ZIP),
    packed("zip: followed by other content", "ARCHIVE-DAMAGED", RIGHT_ZIP + b"more"),
    packed("zip: a comment", "ARCHIVE-DAMAGED", f.patched(RIGHT_ZIP, f.END, 20, "<H", 4, which=-1) + b"more"),
    packed("zip: cut off", "ARCHIVE-DAMAGED", RIGHT_ZIP[:-20]),
    packed("tar: cut off", "ARCHIVE-DAMAGED", RIGHT_TAR[:700]),
    packed("tar: a wrong checksum", "ARCHIVE-DAMAGED", ONE.replace(b"config", b"Config") + f.TAR_END),
    packed("tar: followed by other content", "ARCHIVE-TRAILING", ONE + f.TAR_END + ONE),
    packed("tar.gz: followed by other content", "ARCHIVE-DAMAGED", f.gzipped(RIGHT_TAR) + b"more"),
    packed("tar: pax header that overrides the size", "ARCHIVE-PAX",
           f.pax(size=b"9999999999") + ONE + f.TAR_END),
    packed("tar: pax header that makes a link", "ARCHIVE-PAX",
           f.pax(linkpath=b"/etc/passwd") + ONE + f.TAR_END),
    packed("tar: pax header without a form", "ARCHIVE-DAMAGED",
           f.header(b"pax", 9, b"x") + f.padded(b"99999 a=b") + ONE + f.TAR_END),
    packed("tar: global pax header that names all", "ARCHIVE-PAX",
           f.header(b"pax", 20, b"g") + f.padded(b"20 path=config.json\n") + ONE + f.TAR_END),
    packed("tar: sparse member", "ARCHIVE-SPARSE", f.header(b"vocab.txt", 0, b"S") + f.TAR_END),
    packed("tar: sparse member in pax", "ARCHIVE-SPARSE",
           f.pax(GNU__sparse__realsize=b"99999999999") + ONE + f.TAR_END),
    packed("a rar archive", "ARCHIVE-FORMAT", b"Rar!\x1a\x07\x01\x00" + b"\0" * 600),
    packed("no archive at all", "ARCHIVE-FORMAT", b"\x80\x04\x95" + b"x" * 600),
    packed("nothing of a model", "ARCHIVE-EMPTY", f.zipped({"notes.rst": b"hello"})),
    # What is in it
    packed("an archive within", "ARCHIVE-NESTED", f.zipped({**f.MODEL, "more.zip": f.zipped(f.MODEL)})),
    packed("pickle beside safetensors", "MODEL-WEIGHTS",
           lambda _, canary: f.zipped({**f.MODEL, "pytorch_model.bin": pickled(canary)})),
    packed("tar with a pickle", "MODEL-WEIGHTS",
           lambda _, canary: f.tarred({**f.MODEL, "m/optimizer.pt": pickled(canary)})),
    packed("weights of another library", "MODEL-WEIGHTS", f.zipped({**f.MODEL, "tf_model.h5": b"\x89HDF"})),
    packed("python beside the model", "MODEL-CODE",
           lambda _, canary: f.zipped({**f.MODEL, "modeling_mine.py": f.python(canary)})),
    packed("a library beside the model", "MODEL-CODE", f.tarred({**f.MODEL, "ops.so": b"\x7fELF"})),
]  # fmt: skip


def typed(name: str, module: int = 0):
    return {**f.MODULES[module], "type": name}


def tensors(count: int) -> bytes:
    return f.safetensors(dict.fromkeys(range(count), f.tensor([0], 0, 0)))


def at(path: str, name: str = "sentence_transformers.models.Transformer"):
    """A list of one module."""
    return [{"idx": 0, "name": "0", "path": path, "type": name}]


def dense_with(**files):
    """Files of a second module, whose own loader falls back to a pickle."""
    modules = [f.MODULES[0], typed("sentence_transformers.models.Dense", 1)]
    return {"modules.json": modules, **{f"1_Pooling/{name}": content for name, content in files.items()}}


PICKLE = "pytorch_model.bin"
INDEX = "model.safetensors.index.json"
RIGHT_INDEX = {"metadata": {}, "weight_map": {"w": "model-1.safetensors"}}
ROUTER_CLASS = "sentence_transformers.models.Router"
ROUTES = {"types": {"query_0": "mine.Module"}, "structure": {"query": ["query_0"]}, "parameters": {}}
DENSE_ROUTE = {"types": {"a": "sentence_transformers.models.Dense"}, "structure": {"query": ["a"]}}
TRANSFORMER = "sentence_bert_config.json"
AUTO_MAP = {"AutoModel": "modeling_mine.Model"}
FOLDERS = [
    model("auto_map with its code", "MODEL-CODE",
          files={"config.json": config(auto_map=AUTO_MAP), "modeling_mine.py": f.python}),
    model("auto_map behind 4 MB of nothing", "MODEL-FILES",
          files={"config.json": b" " * 2**22 + config(auto_map=AUTO_MAP)}),
    model("trust_remote_code", "MODEL-CODE",
          files={"sentence_bert_config.json": {"model_args": {"trust_remote_code": True}}}),
    model("a module of its own", "MODEL-CODE",
          files={"modules.json": [typed("modeling_mine.Model")], "modeling_mine.py": f.python}),
    model("torch.load as a module", "MODEL-CODE",
          files={"modules.json": [typed("sentence_transformers.base.modules.module.torch")]}),
    model("a module outside the folder", "MODEL-CODE",
          files={"modules.json": [f.MODULES[0], {**f.MODULES[1], "path": "../outside"}]}),
    model("an activation that runs", "MODEL-CODE",
          files={"modules.json": f.MODULES, "1_Pooling/config.json": {"activation_function": "os.abort"}}),
    model("a tokeniser of its own", "MODEL-CODE",
          files={"wordembedding_config.json": {"tokenizer_class": "mine.Tokenizer"}, "mine.py": f.python}),
    model("texts through a chat template", "MODEL-CODE",
          files={"sentence_bert_config.json": {"modality_config": {"message": {"method": "forward"}}},
                 "chat_template.jinja": b"{% for i in range(99999) %}{% endfor %}"}),
    Case("pickled weights alone", "MODEL-WEIGHTS", "folder", without_weights({"pytorch_model.bin": pickled})),
    Case("a pickle beside safetensors of another name", "MODEL-WEIGHTS", "folder",
         without_weights({"pytorch_model.bin": pickled, "other.safetensors": f.WEIGHTS})),
    model("pickled weights of a module", "MODEL-WEIGHTS",
          files={"modules.json": f.MODULES, "1_Pooling/pytorch_model.bin": pickled}),
    Case("an index of shards that names a pickle", "MODEL-WEIGHTS", "folder",
         sharded({"w": "weights.txt"}, **{"weights.txt": pickled})),
    Case("an index that leads out of the folder", "MODEL-WEIGHTS", "folder",
         sharded({"w": "../outside.safetensors"})),
    Case("an index with an absolute name", "MODEL-WEIGHTS", "folder", sharded({"w": "/w.safetensors"})),
    Case("an index into a folder below", "MODEL-WEIGHTS", "folder",
         sharded({"w": "a/w.safetensors"}, **{"a/w.safetensors": f.WEIGHTS})),
    Case("an index with a backslash", "MODEL-WEIGHTS", "folder", sharded({"w": "..\\w.safetensors"})),
    Case("an index of shards that are not there", "MODEL-WEIGHTS", "folder", sharded({"w": "w.safetensors"})),
    Case("an index of numbers", "MODEL-WEIGHTS", "folder", sharded({"w": [1]})),
    Case("an index of nothing", "MODEL-WEIGHTS", "folder", sharded({})),
    Case("an index that is no JSON", "MODEL-CONFIG", "folder",
         without_weights({INDEX: b"[" * 2**20, "decoy.safetensors": f.WEIGHTS})),
    Case("an index of 5 MB", "MODEL-CONFIG", "folder",
         without_weights({INDEX: lambda _: b" " * (5 * 2**20) + b"{}", "decoy.safetensors": f.WEIGHTS})),
    model("an index beside whole weights that names a pickle", "MODEL-WEIGHTS",
          files={INDEX: {"metadata": {}, "weight_map": {"w": "w.bin"}}, "w.bin": pickled}),
    Case("a pickle beside an index of pickles", "MODEL-WEIGHTS", "folder",
         without_weights({"pytorch_model.bin.index.json": {"weight_map": {"w": "weights.txt"}},
                          "weights.txt": pickled, "decoy.safetensors": f.WEIGHTS})),
    model("a pickle beside an index, of a module that reads none", "MODEL-WEIGHTS",
          files=dense_with(**{PICKLE: pickled, INDEX: RIGHT_INDEX, "model-1.safetensors": f.WEIGHTS})),
    model("a pickle beside an adapter's weights, of a module", "MODEL-WEIGHTS",
          files=dense_with(**{PICKLE: pickled, "adapter_model.safetensors": f.WEIGHTS})),
    Case("a pickle beside nothing but an adapter's weights", "MODEL-WEIGHTS", "folder",
         without_weights({PICKLE: pickled, "adapter_model.safetensors": f.WEIGHTS})),
    model("a pickle that the settings name", "MODEL-WEIGHTS",
          files={"config.json": config(transformers_weights="adapter_model.bin"),
                 "adapter_model.safetensors": f.WEIGHTS, "adapter_model.bin": pickled}),
    model("shards that are taken before the weights", "MODEL-WEIGHTS",
          files={"shard-00001-model-00001-of-00001.safetensors": f.WEIGHTS}),
    model("a router's modules without their classes checked", "MODEL-CODE",
          files={"modules.json": at("r", ROUTER_CLASS), "r/config.json": ROUTES, "mine.py": f.python}),
    model("a router behind an empty one", "MODEL-CODE",
          files={"modules.json": at("r", ROUTER_CLASS), "r/router_config.json": {}, "r/config.json": ROUTES}),
    model("a router within a router, to a pickle", "MODEL-WEIGHTS",
          files={"modules.json": [f.MODULES[0], *at("r", ROUTER_CLASS)],
                 "r/router_config.json": {"types": {"s": ROUTER_CLASS}},
                 "r/s/router_config.json": DENSE_ROUTE, f"r/s/a/{PICKLE}": pickled}),
    model("routers that lead to each other", "MODEL-CODE",
          files={"modules.json": at("r", ROUTER_CLASS),
                 "r/router_config.json": {"types": {"../r": ROUTER_CLASS}}}),
    model("an adapter of another model", "MODEL-ADAPTER",
          files={"adapter_config.json": {"base_model_name_or_path": "org/other"}}),
    model("safetensors: a header of exabytes", "MODEL-WEIGHTS",
          files={"model.safetensors": b"\xff" * 7 + b"\x0f" + b"{}"}),
    model("safetensors: a header that is no JSON", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors(b"[" * 100_000)}),
    model("safetensors: more bytes than there are", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"w": f.tensor([2**34], 0, 2**36)}, b"\0" * 16)}),
    model("safetensors: overlapping tensors", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({n: f.tensor([4], 0, 16) for n in "ab"}, b"\0" * 16)}),
    model("safetensors: a shape that does not fit its bytes", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"w": f.tensor([2**20, 2**20], 0, 16)}, b"\0" * 16)}),
    model("safetensors: offsets below zero", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"w": f.tensor([4], -16, 0)}, b"\0" * 16)}),
    model("safetensors: a type of its own", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"w": f.tensor([4], 0, 16, "PICKLE")}, b"\0" * 16)}),
    model("safetensors: a tensor twice", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors(
              b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
              b'"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', b"\0\0")}),
    model("safetensors: something behind the tensors", "MODEL-WEIGHTS",
          files={"model.safetensors": f.WEIGHTS + b"PK\x03\x04"}),
    model("safetensors: too many tensors", "MODEL-WEIGHTS",
          files={"model.safetensors": lambda _: tensors(100_001)}),
    model("safetensors: a type that is a list", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"w": f.tensor([1], 0, 4, [])}, b"\0" * 4)}),
    model("safetensors: a name with half a character", "MODEL-WEIGHTS",
          files={"model.safetensors": f.safetensors({"\ud800": f.tensor([1], 0, 4)}, b"\0" * 4)}),
    model("sizes changed behind the check", "MODEL-CONFIG",
          files={TRANSFORMER: {"config_kwargs": {"vocab_size": 40_000_000}}}),
    model("sizes changed behind the check, under the old name", "MODEL-CONFIG",
          files={"sentence_xlm-roberta_config.json": {"config_args": {"num_hidden_layers": 900}}}),
    model("a variant of the weights", "MODEL-CONFIG",
          files={TRANSFORMER: {"model_args": {"variant": "other"}}}),
    model("sizes that need not fit", "MODEL-CONFIG",
          files={TRANSFORMER: {"model_kwargs": {"ignore_mismatched_sizes": True}}}),
    model("pickles wished for", "MODEL-CONFIG",
          files={TRANSFORMER: {"model_kwargs": {"use_safetensors": False}}}),
    model("a tokeniser's own files", "MODEL-CONFIG",
          files={TRANSFORMER: {"tokenizer_args": {"vocab_file": "/etc/passwd"}}}),
    model("a table that is a list", "MODEL-CONFIG", files={TRANSFORMER: {"config_kwargs": [1]}}),
    model("a tokeniser from elsewhere", "MODEL-CONFIG",
          files={TRANSFORMER: {"tokenizer_name_or_path": "org/other"}}),
    model("settings in place of those checked", "MODEL-CONFIG",
          files={"config.json": config(configuration_files=["config.4.0.0.json"]),
                 "config.4.0.0.json": config(vocab_size=3 * 10**9)}),
    model("weights of queries that may lie anywhere", "MODEL-CONFIG",
          files={"modules.json": at("q", "sentence_transformers.models.SparseStaticEmbedding"),
                 "q/config.json": {"path": "/srv/other/idf.json"}}),
    model("a recurrent module of terabytes", "MODEL-SIZE",
          files={"modules.json": [f.MODULES[0], *at("1", "sentence_transformers.models.LSTM")],
                 "1/lstm_config.json": {"word_embedding_dimension": 10**6, "hidden_dim": 10**6}}),
    model("a vocabulary of 401 digits", "MODEL-SIZE", files={"config.json": config(vocab_size=10**400)}),
    model("a layer of 401 digits", "MODEL-SIZE", files={"config.json": config(num_hidden_layers=10**400)}),
    model("a module's width of 401 digits", "MODEL-SIZE",
          files={"modules.json": f.MODULES, "1_Pooling/config.json": {"out_features": 10**400}}),
    model("a kind that is a list", "MODEL-CONFIG",
          files={"modules.json": f.MODULES[:1], "config_sentence_transformers.json": {"model_type": []}}),
    model("architectures that are numbers", "MODEL-CONFIG", files={"config.json": config(architectures=[1])}),
    model("architectures without end", "MODEL-CONFIG",
          files={"config.json": config(architectures=["X" * 10**6])}),
    model("an architecture with half a character", "MODEL-CONFIG",
          files={"config.json": config(architectures=["X\ud800"])}),
    model("a module's path with NUL", "MODEL-CONFIG", files={"modules.json": at("\0")}),
    model("a module's path of 300 characters", "MODEL-CONFIG", files={"modules.json": at("a" * 300)}),
    model("a module's path with half a character", "MODEL-CONFIG", files={"modules.json": at("\ud800")}),
    model("a module's path that is a number", "MODEL-CONFIG", files={"modules.json": at(7)}),
    model("a route of 300 characters", "MODEL-CONFIG",
          files={"modules.json": at("r", ROUTER_CLASS),
                 "r/router_config.json": {"types": {"a" * 300: ROUTER_CLASS}}}),
    model("modules without end", "MODEL-CONFIG",
          files={"modules.json": [module for n in range(101) for module in at(f"{n}")]}),
    model("settings for a model of terabytes", "MODEL-SIZE",
          files={"config.json": config(hidden_size=10**6)}),
    model("a vocabulary of billions", "MODEL-SIZE", files={"config.json": config(vocab_size=3 * 10**9)}),
    model("layers without end", "MODEL-SIZE", files={"config.json": config(num_hidden_layers=10**6)}),
    model("experts without end", "MODEL-SIZE",
          files={"config.json": config(num_local_experts=10**6, model_type="mixtral")}),
    model("a million labels", "MODEL-SIZE", files={"config.json": config(num_labels=10**9)}),
    model("a size that is infinite", "MODEL-SIZE",
          files={"config.json": f.CONFIG.replace(b'"vocab_size": 5', b'"vocab_size": Infinity')}),
    model("a huge model inside another's settings", "MODEL-SIZE",
          files={"config.json": config(text_config={"hidden_size": 10**5, "vocab_size": 10**6})}),
    model("a projection of terabytes", "MODEL-SIZE",
          files={"modules.json": [f.MODULES[0], typed("sentence_transformers.models.Dense", 1)],
                 "1_Pooling/config.json": {"in_features": 10**6, "out_features": 10**6}}),
    model("settings that nest without end", "MODEL-CONFIG",
          files={"config.json": b'{"a":' * 900 + b"1" + b"}" * 900}),
    model("settings that nest beyond Python", "MODEL-CONFIG", files={"tokenizer_config.json": b"[" * 2**20}),
    model("settings that are no text", "MODEL-CONFIG", files={"config.json": b"\xff\xfe{}"}),
    model("a tokeniser of 65 MB", "MODEL-FILES", files={"tokenizer.json": lambda _: b" " * (65 * 2**20)}),
    model("a chat template of 2 MB", "MODEL-FILES", files={"chat_template.jinja": lambda _: b"{" * 2**21}),
    Case("weights that are a link out of the folder", "MODEL-LINK", "folder", linked("/etc/passwd")),
    Case("a folder that is a link out of the folder", "MODEL-LINK", "folder", linked("/etc", at="1_Pooling")),
    Case("a link to nothing", "MODEL-LINK", "folder", linked("nowhere", at="vocab.txt")),
    Case("a link to itself", "MODEL-LINK", "folder", linked("vocab.txt", at="vocab.txt")),
    Case("a folder that is a link to a hidden one", "MODEL-LINK", "folder", linked_folder),
    Case("a pipe", "MODEL-LINK", "folder", fifo),
]  # fmt: skip


def npz(**replaced) -> bytes:
    arrays = {
        "indices": np.array([0], np.int32),
        "indptr": np.array([0, 1], np.int32),
        "format": np.array(b"csr"),
        "shape": np.array([1, 3]),
        "data": np.ones(1, np.float32),
    }
    raw = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        raw[f"{name}.npy"] = replaced.get(name, buffer.getvalue())
    return f.zipped(raw, zipfile.ZIP_STORED)


def sparse(content: bytes) -> Make:
    def make(folder: Path, canary: Path) -> Path:
        ids = {name: raw for name, raw in f.VECTORS.items() if not name.endswith(".npy")}
        return f.write(folder / "vectors", {**ids, "documents.npz": content, "queries.npz": npz()})

    return make


def pickled_array(folder: Path, canary: Path) -> Path:
    buffer = io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = f.Pickled(canary)
    np.save(buffer, array, allow_pickle=True)
    return f.write(folder / "vectors", {**f.VECTORS, "documents.npy": buffer.getvalue()})


VECTORS = [
    vectors("npy: more than its payload", "VECTORS-FORMAT", {"documents.npy": f.npy("(1000000000, 3)")}),
    vectors("npy: a shape that is code", "VECTORS-FORMAT",
            {"documents.npy": f.npy("(__import__('os').abort(),)")}),
    Case("npy: pickled objects", "VECTORS-PICKLE", "vectors", pickled_array),
    Case("npz: a member that declares more than it holds", "VECTORS-FORMAT", "vectors",
         sparse(npz(data=f.npy("(4000000000,)", b"\0" * 4)))),
    Case("npz: a directory of gigabytes", "VECTORS-SIZE", "vectors",
         sparse(f.patched(npz(), f.END, 12, "<I", 2**31, which=-1))),
    vectors("meta.json for vectors of billions", "VECTORS-DIMENSIONS",
            {"meta.json": b'{"dimensions": 4000000000, "similarity": "dot"}'}),
    packed("vectors with a pickle", "MODEL-WEIGHTS",
           lambda _, canary: f.zipped({**f.VECTORS, "more.pkl": pickled(canary)}), how="vectors-archive"),
    packed("vectors that lead outside", "ARCHIVE-NAME", f.tarred({"../outside/meta.json": f.META}),
           how="vectors-archive"),
    packed("vectors from a header alone", "VECTORS-FORMAT",
           f.tarred({**f.VECTORS, "documents.npy": f.npy("(1000000000, 3)")}), how="vectors-archive"),
    packed("vectors in lines that unpack without end", "VECTORS-LINE",
           lambda *_: f.tarred({**{name: raw for name, raw in f.VECTORS.items() if not name.endswith(".npy")},
                                "documents.jsonl.gz": f.bomb(80 * 2**20), "queries.jsonl": b"{}"}),
           how="vectors-archive"),
]  # fmt: skip

CASES = [*ARCHIVES, *FOLDERS, *VECTORS]
