"""Makers of archives, models and vectors that are right, byte by byte, so that a case can spoil one thing."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

CONFIG = json.dumps({
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 4, "num_hidden_layers": 1,
    "intermediate_size": 8, "num_attention_heads": 1, "vocab_size": 5, "max_position_embeddings": 8,
}).encode()  # fmt: skip
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors(header, payload=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + payload


WEIGHTS = safetensors({"w": tensor([5, 4], 0, 80)}, b"\0" * 80)
MODEL = {"config.json": CONFIG, "tokenizer.json": b"{}", "model.safetensors": WEIGHTS}


class Pickled:
    """Unpickling it makes the file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (os.mkdir, (str(self.canary),))


def python(canary: Path) -> bytes:
    return f"import os\nos.mkdir({str(canary)!r})\n".encode()


def zipped(members, method=zipfile.ZIP_DEFLATED) -> bytes:
    """`members`: name or ZipInfo to content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content, method)
    return buffer.getvalue()


def patched(content: bytes, signature: bytes, offset: int, form: str, value: int, which: int = 0) -> bytes:
    """A field of the record that begins with the signature (its first, or its last for -1) replaced."""
    place = content.rindex(signature) if which == -1 else content.index(signature)
    raw = bytearray(content)
    struct.pack_into(form, raw, place + offset, value)
    return bytes(raw)


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def renamed(content: bytes, before: bytes, after: bytes) -> bytes:
    """A name in both records; of the same length."""
    assert len(before) == len(after)
    assert content.count(before) >= 2
    return content.replace(before, after)


def tarred(members, mode="w", form=tarfile.PAX_FORMAT) -> bytes:
    """`members`: name to content, or to a TarInfo that says what is special."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def header(name: bytes, size: int, kind: bytes = b"0") -> bytes:
    """One block of a tar archive, its checksum right."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[124:136] = b"0000644\0", b"%011o\0" % size
    block[156:157], block[257:265] = kind, b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 512)


def pax(**records) -> bytes:
    """An extended header with these records."""
    body = b""
    for key, value in records.items():
        rest = b" " + key.replace("__", ".").encode() + b"=" + value + b"\n"
        size = len(rest) + 1
        while len(str(size)) + len(rest) != size:
            size += 1
        body += str(size).encode() + rest
    return header(b"pax", len(body), b"x") + padded(body)


TAR_END = b"\0" * 1024


def bomb(size: int) -> bytes:
    """gzip of zeros, made without holding them."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [packer.compress(b"\0" * 2**20) for _ in range(size >> 20)]
    return b"".join([*pieces, packer.flush()])


def tar_bomb(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [packer.compress(header(b"model.safetensors", size))]
    pieces += [packer.compress(b"\0" * 2**20) for _ in range(size >> 20)]
    return b"".join([*pieces, packer.compress(TAR_END), packer.flush()])


def write(folder: Path, files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def npy(shape, payload=b"\0" * 12, descr="<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + payload


META = json.dumps({"dimensions": 3, "similarity": "dot"}).encode()
VECTORS = {
    "meta.json": META,
    "documents.npy": npy("(1, 3)"),
    "documents.ids.txt": b"d1\n",
    "queries.npy": npy("(1, 3)"),
    "queries.ids.txt": b"q1\n",
}


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
